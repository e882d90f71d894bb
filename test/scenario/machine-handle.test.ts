import test from 'ava';
import {failure} from '../../lab/host/failure.ts';
import {openMachines} from '../../lab/scenario/machine-handle.ts';
import {createFakeLab} from './fake-lab.ts';

test('a connection that closes late, while the next one cannot be made, fails nothing but what wants the next one', async (t) => {
	const fake = createFakeLab();
	let closeFirst = (): void => {};
	let failSecond = (): void => {};
	const closed = new Promise<void>((resolve) => {
		closeFirst = resolve;
	});
	const machines = openMachines({
		...fake,
		async ssh(name) {
			if (fake.opened.length > 0) {
				await new Promise<void>((_resolve, reject) => {
					failSecond = () => {
						reject(failure.machineSilent(name, 5, 'it boots', []));
					};
				});
			}

			return {...await fake.ssh(name), closed};
		},
	}, new AbortController().signal);
	const node = machines.handle('node-1');
	await node.$`true`;
	// The first connection is given up, and its end is not known yet.
	await node.reset();
	const next = t.throwsAsync(node.$`true`, {code: 'machine-silent'});
	const turn = async (): Promise<unknown> => new Promise((resolve) => {
		setImmediate(resolve);
	});
	await turn();
	closeFirst();
	await turn();
	failSecond();
	await next;
	await machines.close();
	// An unhandled rejection of it would end this process, and fail the test by that.
	await turn();
	t.pass();
});
