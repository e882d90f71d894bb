import {once} from 'node:events';
import {readdir, stat} from 'node:fs/promises';
import path from 'node:path';
import {setImmediate as turn} from 'node:timers/promises';
import test from 'ava';
import {type Captures, longestCaptureQueue, mostCaptures, openCaptures} from '../../lab/fabric/capture.ts';
import type {CaptureRequest} from '../../lab/fabric/capture-request.ts';
import {connectCapture, readCapture} from '../../lab/fabric/capture-stream.ts';
import {type Fabric, startFabric} from '../../lab/fabric/fabric.ts';
import {pcapngReader} from '../../lab/fabric/pcapng-reader.ts';
import {readRecording, type Recording} from '../../lab/fabric/recording.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {until} from '../../lab/host/wait.ts';
import {ethernetFrame, everybody, mac, payloadOf} from './ethernet-frame.ts';
import {connectNic, type Nic} from './nic.ts';
import {ip, tcp, udp} from './packets.ts';

const links = ['node-1@cluster', 'node-2@cluster', 'router-1@cluster', 'router-1@external'];

/** Captures without networks: frames are recorded by the test. */
async function withCaptures(use: (captures: Captures, folder: string) => Promise<void>): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		const captures = openCaptures(folder, links);
		try {
			await use(captures, folder);
		} finally {
			await captures.close();
		}

		await refuseRemains(folder);
	});
}

/** Nothing is left in the folder of what has ended. */
async function refuseRemains(folder: string): Promise<void> {
	const left = await readdir(folder);
	if (left.length > 0) {
		throw new Error(`left: ${left.join(', ')}`);
	}
}

function record(captures: Captures, link: number, direction: 'from' | 'to', frame: Buffer, reason?: string): void {
	captures.record(link, direction, performance.now(), frame, 0, frame.length, reason);
}

/** `node-1@cluster from one`, with the reason where it was dropped. */
function lines({frames}: Recording): string[] {
	return frames.map(({link, direction, bytes, dropped}) => `${link} ${direction} ${payloadOf(bytes)}${dropped === undefined ? '' : `, ${dropped}`}`);
}

function named(name: string, length = 60): Buffer {
	return ethernetFrame(mac(1), mac(0), name, length);
}

/** A capture that is read until it ends; `end` ends it. */
async function reader(captures: Captures, folder: string, request: CaptureRequest = {}): Promise<{end(): Promise<Recording>; ended: Promise<Buffer>; seen(): number}> {
	const socket = await connectCapture(path.join(folder, await captures.open(request)));
	const chunks: Buffer[] = [];
	let seen = 0;
	const count = pcapngReader({
		onFrame() {
			seen += 1;
		},
	});
	socket.on('data', (chunk: Buffer) => {
		chunks.push(chunk);
		count(chunk);
	});
	const ended = once(socket, 'end').then(() => {
		socket.destroy();
		return Buffer.concat(chunks);
	});
	await until('it begins', async () => (chunks.length > 0 ? {met: true, value: undefined} : {met: false, seen: 'nothing'}), {deadline: 20_000, interval: 20});
	return {
		ended,
		seen: () => seen,
		async end() {
			socket.end();
			return readRecording(await ended);
		},
	};
}

test('what was recorded is given in its order, link by link, with what was dropped and why', async (t) => {
	await withCaptures(async (captures, folder) => {
		const before = Date.now();
		record(captures, 0, 'from', named('one'));
		record(captures, 1, 'to', named('one'));
		record(captures, 2, 'from', named('two'), 'too short');
		record(captures, 3, 'to', named('three'), 'the queue is full');
		record(captures, 0, 'to', named('four', 1000), 'too short');
		const recording = readRecording(await readCapture(path.join(folder, await captures.open({recorded: {}}))));
		t.deepEqual(lines(recording), [
			'node-1@cluster from one', 'node-2@cluster to one', 'router-1@cluster from two, too short', 'router-1@external to three, the queue is full', 'node-1@cluster to four, too short',
		]);
		t.deepEqual(recording.frames.map(({length, bytes}) => [length, bytes.length]), [[60, 60], [60, 60], [60, 60], [60, 60], [1000, 256]]);
		t.true(recording.frames.every(({time}) => time > before - 1000 && time < Date.now() + 1000));
		t.deepEqual(recording.links.map(({name, overwritten}) => [name, overwritten]), links.map((name) => [name, 0]));
	});
});

test('of what was recorded, links, networks, directions, frames, times and numbers can be chosen', async (t) => {
	await withCaptures(async (captures, folder) => {
		const get = async (request: CaptureRequest): Promise<string[]> => lines(readRecording(await readCapture(path.join(folder, await captures.open({recorded: {}, ...request})))));
		record(captures, 0, 'from', named('one'));
		await turn();
		const early = Date.now() + 2;
		await until('the clock goes on', async () => (Date.now() > early ? {met: true, value: undefined} : {met: false, seen: ''}), {deadline: 1000, interval: 5});
		record(captures, 1, 'to', named('two'));
		record(captures, 3, 'from', ip('tcp', '192.168.1.1', '192.168.1.2', tcp(1, 80)));
		t.deepEqual(await get({links: ['node-2@cluster', 'node-1@cluster']}), ['node-1@cluster from one', 'node-2@cluster to two']);
		t.is((await get({networks: ['external']})).length, 1);
		t.deepEqual(await get({links: ['router-1@external'], networks: ['external', 'cluster'], direction: 'to'}), []);
		t.deepEqual(await get({direction: 'to'}), ['node-2@cluster to two']);
		t.is((await get({match: {protocol: 'tcp', port: 80}})).length, 1);
		t.deepEqual(await get({recorded: {since: early}, count: 1}), ['node-2@cluster to two']);
		t.deepEqual(await get({recorded: {until: early}}), ['node-1@cluster from one']);
		await t.throwsAsync(captures.open({links: ['node-3@cluster']}), {code: 'unknown-link', message: /node-3@cluster/});
		await t.throwsAsync(captures.open({networks: ['extrenal']}), {code: 'unknown-network'});
		await t.throwsAsync(captures.open({links: ['node-1@cluster'], networks: ['external']}), {code: 'usage'});
		await t.throwsAsync(captures.open({count: 0}), {code: 'usage'});
		await t.throwsAsync(captures.open({match: {port: 1, protocol: 'arp'}}), {code: 'usage'});
	});
});

test('the recorder keeps the last frames, and says from when on it has all', async (t) => {
	await withCaptures(async (captures, folder) => {
		const count = 60_000;
		for (let number = 0; number < count; number++) {
			record(captures, 0, 'from', named(String(number), 200));
		}

		record(captures, 1, 'from', named('quiet'));
		const {frames, links: kept} = readRecording(await readCapture(path.join(folder, await captures.open({recorded: {}}))));
		const loud = frames.filter(({link}) => link === 'node-1@cluster');
		// 4 MiB with 24 bytes for each.
		t.is(loud.length, Math.floor((4 * 1024 * 1024) / 224));
		t.is(payloadOf(loud.at(-1)!.bytes), String(count - 1));
		t.is(kept[0]?.overwritten, count - loud.length);
		t.true(loud.every(({time}) => time >= kept[0]!.since));
		t.is(lines({frames: frames.slice(-1), links: kept})[0], 'node-2@cluster from quiet', 'a link does not overwrite the frames of another');
		t.is(kept[1]?.overwritten, 0);
	});
});

test('a capture gives what comes until its reader ends it, whole, and then its statistics', async (t) => {
	await withCaptures(async (captures, folder) => {
		record(captures, 0, 'from', named('before'));
		const live = await reader(captures, folder, {networks: ['cluster']});
		record(captures, 0, 'from', named('one', 9000));
		record(captures, 3, 'from', named('elsewhere'));
		record(captures, 1, 'to', named('one', 9000), 'nobody is connected');
		await until('two frames come', async () => (live.seen() === 2 ? {met: true, value: undefined} : {met: false, seen: `${live.seen()}`}), {deadline: 20_000, interval: 20});
		const recording = await live.end();
		t.deepEqual(lines(recording), ['node-1@cluster from one', 'node-2@cluster to one, nobody is connected']);
		t.deepEqual(recording.frames.map(({bytes}) => bytes.length), [9000, 9000]);
		t.deepEqual(recording.links.map(({name, overwritten}) => [name, overwritten]), [['node-1@cluster', 0], ['node-2@cluster', 0], ['router-1@cluster', 0]]);
		record(captures, 0, 'from', named('after'));
	});
});

test('a capture ends by itself after so many frames, and cuts them where it should', async (t) => {
	await withCaptures(async (captures, folder) => {
		const live = await reader(captures, folder, {count: 2, snapLength: 20, match: {protocol: 'udp'}});
		for (let number = 0; number < 5; number++) {
			record(captures, 0, 'from', ip('tcp', '192.168.1.1', '192.168.1.2', tcp(1, 2)));
			record(captures, 0, 'from', ip('udp', '192.168.1.1', '192.168.1.2', udp(1, 2, 'data')));
		}

		const {frames} = readRecording(await live.ended);
		t.deepEqual(frames.map(({length, bytes}) => [length, bytes.length]), [[46, 20], [46, 20]]);
	});
});

test('several captures see the same, each its own', async (t) => {
	await withCaptures(async (captures, folder) => {
		const [all, one] = [await reader(captures, folder), await reader(captures, folder, {links: ['node-2@cluster']})];
		record(captures, 0, 'from', named('one'));
		record(captures, 1, 'from', named('two'));
		t.deepEqual(lines(await one.end()), ['node-2@cluster from two']);
		record(captures, 1, 'from', named('three'));
		t.deepEqual(lines(await all.end()), ['node-1@cluster from one', 'node-2@cluster from two', 'node-2@cluster from three']);
	});
});

test('a reader that does not read loses frames, which are counted, and the memory for it is bounded', async (t) => {
	await withCaptures(async (captures, folder) => {
		const socket = await connectCapture(path.join(folder, await captures.open({})));
		await once(socket, 'readable');
		const frame = named('x', 1500);
		const count = 20_000;
		for (let number = 0; number < count; number++) {
			record(captures, 0, 'from', frame);
			if (number % 100 === 0) {
				await turn();
			}
		}

		const chunks: Buffer[] = [];
		socket.on('data', (chunk: Buffer) => {
			chunks.push(chunk);
		});
		socket.end();
		await once(socket, 'end');
		socket.destroy();
		const {frames, links: statistics} = readRecording(Buffer.concat(chunks));
		t.is(frames.length + statistics[0]!.overwritten, count, 'each frame is there or counted');
		t.true(statistics[0]!.overwritten > 10_000);
		// What waited, and what sockets hold by themselves.
		t.true(Buffer.concat(chunks).length < longestCaptureQueue + 2 * 1024 * 1024);
	});
});

test('a reader that is gone ends its capture, and another takes its place', async (t) => {
	await withCaptures(async (captures, folder) => {
		for (let number = 0; number < 2 * mostCaptures; number++) {
			const socket = await connectCapture(path.join(folder, await captures.open({})));
			await once(socket, 'data');
			socket.destroy();
			await until('it is forgotten', async () => {
				record(captures, 0, 'from', named('x'));
				return (await readdir(folder)).length === 0 ? {met: true, value: undefined} : {met: false, seen: 'its socket is there'};
			}, {deadline: 20_000, interval: 20});
		}

		t.pass();
	});
});

test('there is a most of captures, and each has one reader, who alone may enter its socket', async (t) => {
	await withCaptures(async (captures, folder) => {
		const name = await captures.open({});
		t.is((await stat(path.join(folder, name))).mode & 0o777, 0o600);
		const socket = await connectCapture(path.join(folder, name));
		await once(socket, 'data');
		await t.throwsAsync(connectCapture(path.join(folder, name)), {code: 'ENOENT'});
		for (let number = 1; number < mostCaptures; number++) {
			await captures.open({});
		}

		await t.throwsAsync(captures.open({}), {message: /there are 16 captures already/});
		socket.destroy();
	});
});

async function withFabric(use: (fabric: Fabric, nics: Nic[]) => Promise<void>): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		const fabric = await startFabric({folder, networks: [
			{name: 'cluster', ports: ['node-1', 'node-2', 'router-1'].map((name) => ({name, socket: `${name}-a.sock`}))},
			{name: 'external', ports: ['router-1', 'tester-1'].map((name) => ({name, socket: `${name}-b.sock`}))},
		]});
		const nics = await Promise.all(['node-1-a', 'node-2-a', 'router-1-a', 'router-1-b'].map(async (name) => connectNic(path.join(folder, `${name}.sock`))));
		try {
			await use(fabric, nics);
		} finally {
			await fabric.stop();
			for (const {socket} of nics) {
				socket.destroy();
			}

			await refuseRemains(folder);
		}
	});
}

test('a fabric records what crosses its links, each with its way, and what it drops', async (t) => {
	await withFabric(async (fabric, [a, b, c, d]) => {
		a!.send(ethernetFrame(everybody, mac(0), 'who'));
		await b!.gets(1);
		await c!.gets(1);
		b!.send(ethernetFrame(mac(0), mac(1), 'me'), Buffer.from('short'), ethernetFrame(mac(1), mac(3), 'to itself'));
		await a!.gets(1);
		d!.send(ethernetFrame(everybody, mac(4), 'over there'));
		await until('all is counted', async () => ((await fabric.report())[3]?.framesIn === 1 ? {met: true, value: undefined} : {met: false, seen: 'not yet'}), {deadline: 20_000, interval: 20});
		t.deepEqual(lines(readRecording(await readCapture(await fabric.capture({recorded: {}})))), [
			'node-1@cluster from who', 'node-2@cluster to who', 'router-1@cluster to who',
			'node-2@cluster from me', 'node-1@cluster to me', 'node-2@cluster from , too short', 'node-2@cluster from to itself, its station is on the link that it came from',
			'router-1@external from over there', 'tester-1@external to over there, nobody is connected',
		]);
		await t.throwsAsync(fabric.capture({links: ['node-1@external']}), {code: 'unknown-link'});
	});
});

test('a fabric that stops ends its captures in good order', async (t) => {
	await withFabric(async (fabric, [a, b]) => {
		const socket = await connectCapture(await fabric.capture({links: ['node-2@cluster']}));
		const chunks: Buffer[] = [];
		socket.on('data', (chunk: Buffer) => {
			chunks.push(chunk);
		});
		await once(socket, 'data');
		a!.send(ethernetFrame(everybody, mac(0), 'one'));
		await b!.gets(1);
		const ended = once(socket, 'end');
		const stopping = fabric.stop();
		await ended;
		socket.destroy();
		await stopping;
		const recording = readRecording(Buffer.concat(chunks));
		t.deepEqual(lines(recording), ['node-2@cluster to one']);
		t.is(recording.links.length, 1);
	});
});

test('a fabric stops though a reader of a capture does not read', async (t) => {
	await withFabric(async (fabric, [a, b]) => {
		const socket = await connectCapture(await fabric.capture({}));
		const frames = Array.from({length: 100}, () => ethernetFrame(everybody, mac(0), 'x', 1500));
		for (let round = 1; round <= 20; round++) {
			a!.send(...frames);
			await b!.gets(round * frames.length);
		}

		await fabric.stop();
		t.is(await fabric.ended, undefined);
		socket.destroy();
	});
});

test('a fabric that goes on from another one has recorded nothing yet', async (t) => {
	await withFabric(async (fabric, [a, b]) => {
		a!.send(ethernetFrame(everybody, mac(0), 'before'));
		await b!.gets(1);
		await fabric.hold();
		const states = await fabric.state();
		await withTemporaryFolder(async (folder) => {
			const copy = await startFabric({folder, networks: [{name: 'cluster', state: states[0]!, ports: [{name: 'node-1', socket: 'a.sock'}]}]});
			t.deepEqual(readRecording(await readCapture(await copy.capture({recorded: {}}))).frames, []);
			await copy.stop();
		});
	});
});
