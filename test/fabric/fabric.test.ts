import {once} from 'node:events';
import {mkdir, readdir} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {type Fabric, type NetworkState, startFabric} from '../../lab/fabric/fabric.ts';
import {headerBytes} from '../../lab/fabric/framing.ts';
import {LabError} from '../../lab/host/error.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {until} from '../../lab/host/wait.ts';
import {ethernetFrame, everybody, mac, payloadOf, withHeader} from './ethernet-frame.ts';
import {connectNic, type Nic} from './nic.ts';

async function withFabric(ports: number, use: (fabric: Fabric, nics: Nic[], folder: string) => Promise<void>, state?: NetworkState): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		const fabric = await startFabric({
			folder,
			networks: [{
				name: 'cluster', ports: Array.from({length: ports}, (_, index) => ({name: `node-${index}`, socket: `port-${index}.sock`})), ...(state && {state}),
			}],
		});
		const nics: Nic[] = [];
		try {
			for (let index = 0; index < ports; index++) {
				nics.push(await connectNic(path.join(folder, `port-${index}.sock`)));
			}

			await use(fabric, nics, folder);
		} finally {
			await fabric.stop();
			for (const nic of nics) {
				nic.socket.destroy();
			}
		}
	});
}

test('a broadcast reaches all others and a unicast only its station', async (t) => {
	await withFabric(3, async (fabric, [a, b, c]) => {
		a!.send(ethernetFrame(everybody, mac(0), 'who is there'));
		t.deepEqual(await b!.gets(1), ['who is there']);
		t.deepEqual(await c!.gets(1), ['who is there']);
		b!.send(ethernetFrame(mac(0), mac(1), 'me'));
		t.deepEqual(await a!.gets(1), ['me']);
		a!.send(ethernetFrame(mac(1), mac(0), 'for b'), ethernetFrame(everybody, mac(0), 'for all'));
		t.deepEqual(await b!.gets(3), ['who is there', 'for b', 'for all']);
		t.deepEqual(await c!.gets(2), ['who is there', 'for all']);
		const report = await fabric.report();
		t.deepEqual(report.map(({network, port, framesIn, framesOut}) => [network, port, framesIn, framesOut]), [
			['cluster', 'node-0', 3, 1], ['cluster', 'node-1', 1, 3], ['cluster', 'node-2', 0, 2],
		]);
	});
});

test('frames arrive whole and in order, however they are cut', async (t) => {
	await withFabric(2, async (_fabric, [a, b]) => {
		const frames = Array.from({length: 500}, (_, index) => ethernetFrame(everybody, mac(0), `frame ${index}`, 60 + (index * 37) % 1454));
		const bytes = Buffer.concat(frames.map((frame) => withHeader(frame)));
		for (let at = 0, step = 1; at < bytes.length; at += step, step = 1 + (step * 7) % 9973) {
			a!.socket.write(bytes.subarray(at, at + step));
		}

		await b!.gets(frames.length);
		t.true(b!.got.every((frame, index) => frame.equals(frames[index]!)));
	});
});

test('a machine that sends what is no frame is disconnected, and the others go on', async (t) => {
	await withFabric(3, async (fabric, [a, b, c]) => {
		a!.socket.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
		await once(a!.socket, 'close');
		b!.send(ethernetFrame(everybody, mac(1), 'still here'));
		t.deepEqual(await c!.gets(1), ['still here']);
		t.deepEqual((await fabric.links())[0]?.from.dropped, {broken: 1});
	});
});

test('a machine that is started again takes its port again', async (t) => {
	await withFabric(2, async (_fabric, [a, b], folder) => {
		b!.send(ethernetFrame(everybody, mac(1), 'before'));
		await a!.gets(1);
		b!.socket.destroy();
		const again = await connectNic(path.join(folder, 'port-1.sock'));
		// The end of the first connection may be told after the second began: send until it is through.
		await until('the frame comes', async () => {
			a!.send(ethernetFrame(mac(1), mac(0), 'after'));
			return again.got.length > 0 ? {met: true, value: undefined} : {met: false, seen: 'nothing'};
		}, {deadline: 10_000, interval: 100});
		t.is(payloadOf(again.got[0]!), 'after');
		again.socket.destroy();
	});
});

test('a machine that does not read loses frames, and nobody else does', async (t) => {
	await withFabric(3, async (fabric, [a, b, c]) => {
		b!.socket.pause();
		const count = 8000;
		const batch = Array.from({length: 100}, () => ethernetFrame(everybody, mac(0), 'x', 1514));
		for (let sent = 0; sent < count; sent += batch.length) {
			a!.send(...batch);
			await c!.gets(sent + batch.length);
		}

		const [, slow, quick] = await fabric.report();
		t.is(quick?.framesOut, count);
		t.is(quick?.droppedOut, 0);
		t.true((slow?.droppedOut ?? 0) > 1000);
	});
});

test('a fabric that is held keeps what comes, tells it, and another one carries it on', async (t) => {
	await withFabric(3, async (fabric, [a, b, c]) => {
		b!.send(ethernetFrame(everybody, mac(1), 'b is here'));
		await a!.gets(1);
		await c!.gets(1);
		await fabric.hold();
		// In the kernel's hands when the state is asked for; the fabric may not have seen it yet.
		a!.send(ethernetFrame(mac(1), mac(0), 'one'), ethernetFrame(everybody, mac(0), 'two'));
		c!.send(ethernetFrame(mac(1), mac(2), 'three'));
		const [state] = await fabric.state();
		t.is(state?.name, 'cluster');
		t.deepEqual(state?.stations.map(({port}) => port), [1], 'nobody is learnt while nothing is carried');
		t.deepEqual(state?.frames.map(({port, frame}) => [port, payloadOf(Buffer.from(frame, 'base64').subarray(headerBytes))]).sort(), [[0, 'one'], [0, 'two'], [2, 'three']]);
		t.is(b!.got.length, 0);

		await withFabric(3, async (copy, [d, e, f]) => {
			d!.send(ethernetFrame(everybody, mac(0), 'four'));
			await until('the frame is taken', async () => {
				const {framesIn = 0} = (await copy.report())[0] ?? {};
				return framesIn === 1 ? {met: true, value: undefined} : {met: false, seen: `${framesIn} frames`};
			}, {deadline: 20_000, interval: 20});
			t.deepEqual([d, e, f].map((nic) => nic!.got.length), [0, 0, 0], 'what is started from a state is held');
			await copy.release();
			const first = state!.frames[0]!.port === 0 ? ['one', 'two', 'three', 'four'] : ['three', 'one', 'two', 'four'];
			t.deepEqual(await e!.gets(4), first);
			t.deepEqual(await f!.gets(2), ['two', 'four']);
			t.is(d!.got.length, 0);
		}, state);

		await fabric.release();
		t.is((await b!.gets(3)).length, 3);
		t.deepEqual(await c!.gets(2), ['b is here', 'two']);
		a!.send(ethernetFrame(mac(1), mac(0), 'five'));
		t.is((await b!.gets(4)).at(-1), 'five');
	});
});

test('a fabric that has ended says so to whoever holds or releases it', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const fabric = await startFabric({folder, networks: []});
		t.deepEqual(await fabric.state(), []);
		await fabric.stop();
		await t.throwsAsync(fabric.hold(), {code: 'fabric-failed'});
		await t.throwsAsync(fabric.state(), {code: 'fabric-failed'});
		await t.throwsAsync(fabric.release(), {code: 'fabric-failed'});
	});
});

test('networks are apart from each other', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const fabric = await startFabric({folder, networks: ['one', 'two'].map((name) => ({name, ports: [0, 1].map((index) => ({name: `node-${index}`, socket: `${name}-${index}.sock`}))}))});
		const [a, b, x, y] = await Promise.all(['one-0', 'one-1', 'two-0', 'two-1'].map(async (name) => connectNic(path.join(folder, `${name}.sock`))));
		a!.send(ethernetFrame(everybody, mac(0), 'one'));
		x!.send(ethernetFrame(everybody, mac(1), 'two'));
		t.deepEqual(await b!.gets(1), ['one']);
		t.deepEqual(await y!.gets(1), ['two']);
		await fabric.stop();
		for (const nic of [a, b, x, y]) {
			nic!.socket.destroy();
		}
	});
});

test('stopping ends the connections and removes the sockets, and may be done twice', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const fabric = await startFabric({folder, networks: [{name: 'cluster', ports: [{name: 'node-1', socket: 'node-1.sock'}]}]});
		const nic = await connectNic(path.join(folder, 'node-1.sock'));
		// Where the fabric ends before it has read everything that is an error of the socket, which `once` would throw.
		const closed = new Promise((resolve) => {
			nic.socket.once('close', resolve);
		});
		await Promise.all([closed, fabric.stop()]);
		await fabric.stop();
		t.is(await fabric.ended, undefined);
		t.deepEqual(await readdir(folder), []);
		await t.throwsAsync(fabric.report(), {instanceOf: LabError});
	});
});

test('sockets work in a folder deeper than a socket address can say', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const deep = path.join(folder, 'x'.repeat(100), 'y'.repeat(100));
		await mkdir(deep, {recursive: true});
		const fabric = await startFabric({folder: deep, networks: [{name: 'cluster', ports: [{name: 'node-1', socket: 'node-1.sock'}]}]});
		t.deepEqual(await readdir(deep), ['node-1.sock']);
		await fabric.stop();
		t.deepEqual(await readdir(deep), []);
	});
});

test('a folder that is not there is an error', async (t) => {
	const error = await t.throwsAsync(startFabric({folder: '/nowhere/at/all', networks: [{name: 'cluster', ports: [{name: 'node-1', socket: 'x.sock'}]}]}), {instanceOf: LabError});
	t.is(error.code, 'fabric-failed');
});
