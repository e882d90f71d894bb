import {appendFile, mkdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type {LabEvent} from '../../lab/event/event.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {timeLimit} from '../../lab/host/wait.ts';
import {awaitFirstProcess, restartWhenStill, type StartingMachine} from '../../lab/runtime/boot-hang.ts';

const worked = async (): Promise<number> => 0;
const isStopped = (): boolean => false;

test('a machine with nothing on its console is started again, and that is told', async (t) => {
	await withTemporaryFolder(async (folder) => {
		await mkdir(path.join(folder, 'node-1'));
		const events: LabEvent[] = [];
		let resets = 0;
		await awaitFirstProcess({
			name: 'node-1', folder, pace: 1, patience: 50, signal: new AbortController().signal, worked, isStopped,
			events: (event) => {
				events.push(event);
			},
			async reset() {
				resets += 1;
				if (resets === 2) {
					await writeFile(path.join(folder, 'node-1/console.log'), 'vmlab: the first process runs\n');
				}
			},
		});
		t.is(resets, 2);
		t.is(events.filter((event) => event.type === 'note' && event.text.includes('node-1 did not come to its first process')).length, 2);
	});
});

test('a machine whose first process runs is left alone', async (t) => {
	await withTemporaryFolder(async (folder) => {
		await mkdir(path.join(folder, 'node-1'));
		await writeFile(path.join(folder, 'node-1/console.log'), 'vmlab: the first process runs\n');
		await awaitFirstProcess({
			name: 'node-1', folder, pace: 1, patience: 50, signal: new AbortController().signal, events() {}, worked, isStopped,
			async reset() {
				t.fail('it was reset');
			},
		});
		t.pass();
	});
});

test('a machine that starts again because of its clock has come to its first process when the next kernel has', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const log = path.join(folder, 'node-1/console.log');
		await mkdir(path.join(folder, 'node-1'));
		await writeFile(log, 'vmlab: the kernel misjudged how fast its clock runs, so the machine starts again\n[    3.2] reboot: Restarting system\n');
		let resets = 0;
		await awaitFirstProcess({
			name: 'node-1', folder, pace: 1, patience: 50, signal: new AbortController().signal, events() {}, worked, isStopped,
			async reset() {
				resets += 1;
				await appendFile(log, 'vmlab: the first process runs\n');
			},
		});
		t.is(resets, 1);
	});
});

test('a machine that is paused in its boot is not started again, and has its time once it goes on', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const enough = new AbortController();
		let asked = 0;
		let resets = 0;
		await awaitFirstProcess({
			name: 'node-1', folder, pace: 1, patience: 50, signal: enough.signal, events() {}, worked,
			isStopped() {
				asked += 1;
				t.is(resets, 0);
				return asked < 3;
			},
			async reset() {
				resets += 1;
				enough.abort();
			},
		});
		t.deepEqual([asked, resets], [3, 1]);
	});
});

test('the wait ends with its signal', async (t) => {
	await withTemporaryFolder(async (folder) => {
		await awaitFirstProcess({
			name: 'node-1', folder, pace: 1, signal: timeLimit(50), events() {}, worked, isStopped,
			async reset() {
				t.fail('it was reset');
			},
		});
		t.pass();
	});
});

/** What the watch over a machine tells, where this much more work (seconds) is seen at each look, until it was reset twice or the time is over. */
async function watch(workOfLook: number, machine: Partial<StartingMachine> = {}, time = 20_000): Promise<{resets: number; told: string[]; looks: number}> {
	const told: string[] = [];
	const enough = new AbortController();
	let [work, resets, looks] = [0, 0, 0];
	await restartWhenStill({
		name: 'node-1', folder: '/', pace: 1, patience: 100, signal: AbortSignal.any([enough.signal, timeLimit(time)]),
		events(event) {
			if (event.type === 'note') {
				told.push(event.text);
			}
		},
		isStopped,
		async worked() {
			looks += 1;
			work += workOfLook;
			return work;
		},
		async reset() {
			resets += 1;
			if (resets === 2) {
				enough.abort();
			}
		},
		...machine,
	});
	return {resets, told, looks};
}

test('a machine that stands still in its boot is started again, and that is told', async (t) => {
	const {resets, told} = await watch(0.01);
	t.is(resets, 2);
	t.is(told.length, 2);
	t.regex(told[0]!, /^node-1 stood still for .* it is started again$/);
});

test('a machine that is slow is no machine that stands still', async (t) => {
	const {looks, ...seen} = await watch(0.55, {}, 1000);
	t.deepEqual(seen, {resets: 0, told: []});
	t.true(looks > 3, `${looks} looks`);
});

test('a machine of which nobody knows whether it should move is left alone', async (t) => {
	t.like(await watch(0, {worked: async () => undefined}, 1000), {resets: 0, told: []});
});

test('a machine that has ended is not started again', async (t) => {
	const worked = async (): Promise<number> => {
		throw new Error('no such process');
	};

	t.like(await watch(0, {worked}, 1000), {resets: 0, told: []});
});

test('one that stands still whatever is done is left so in the end', async (t) => {
	let resets = 0;
	await watch(0, {
		async reset() {
			resets += 1;
		},
	});
	t.is(resets, 3);
});
