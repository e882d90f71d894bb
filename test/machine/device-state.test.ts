import {writeFile} from 'node:fs/promises';
import {createServer} from 'node:net';
import path from 'node:path';
import test from 'ava';
import {LabError} from '../../lab/host/error.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {loadDeviceState, memoryPart} from '../../lab/machine/device-state.ts';
import type {Machine} from '../../lab/machine/machine.ts';

const hex = (...parts: string[]): Buffer => Buffer.from(parts.join(''), 'hex');
/** A piece that is not the last one, and one that ends the memory: section 2, RAM_SAVE_FLAG_EOS, its footer. */
const piece = hex('0200000002', '0000000000000010', '7e00000002');
const end = hex('0300000002', '0000000000000010', '7e00000002');
const devices = hex('0400000000', '0574696d6572');

test('the part of a state that is about memory ends where the first device begins', (t) => {
	const start = Buffer.concat([Buffer.from('QEVM'), hex('00000003'), piece, end]);
	t.deepEqual(memoryPart(Buffer.concat([start, devices, devices]), 'node-1'), start);
});

test('bytes that look like an end, of another section or before no device, are none', (t) => {
	const start = Buffer.concat([hex('0300000002', '0000000000000010', '7e00000003'), hex('0300000002', '0000000000000010', '7e0000000205'), end]);
	t.deepEqual(memoryPart(Buffer.concat([start, devices]), 'node-1'), start);
});

test('a state without the end of its memory is told', (t) => {
	const error = t.throws(() => memoryPart(Buffer.concat([piece, devices]), 'node-1'), {instanceOf: LabError});
	t.is(error?.code, 'machine-broke');
});

test('a machine that gives its state up when all of it was sent is told by what it says of it', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const file = path.join(folder, 'state');
		await writeFile(file, Buffer.alloc(20_000));
		let looks = 0;
		// Nothing is read of what came, so that the end of the connection is an error at the other end: connection reset.
		const server = createServer({pauseOnConnect: true});
		const machine = {
			name: 'node-1',
			qmp: {
				async execute(command: string) {
					if (command === 'migrate-incoming') {
						await new Promise<void>((resolve) => {
							server.listen(path.join(folder, 'in.sock'), resolve);
						});
						server.once('connection', (socket) => {
							setTimeout(() => socket.destroy(), 100);
						});
					}

					looks += command === 'query-migrate' ? 1 : 0;
					return command === 'query-migrate' ? looks < 100 ? {status: 'active'} : {status: 'failed', 'error-desc': 'of another card'} : {};
				},
			},
		} as unknown as Machine;
		await t.throwsAsync(loadDeviceState(machine, {cwd: folder, socket: 'in.sock', file}), {message: /of another card/});
		server.close();
	});
});
