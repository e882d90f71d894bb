import {once} from 'node:events';
import {createServer, type Socket} from 'node:net';
import path from 'node:path';
import {Duplex} from 'node:stream';
import test from 'ava';
import {LabError} from '../../lab/host/error.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {connectQmp, openQmp, type Qmp} from '../../lab/machine/qmp.ts';

const greeting = '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}\r\n';

/** QEMU's end of a stream. */
interface Peer {
	readonly stream: Duplex;
	say(text: string): void;
	/** What it got, as messages, and the next of them. */
	next(): Promise<{execute: string; id: string; arguments?: unknown}>;
	end(): void;
}

function peer(): Peer {
	const got: string[] = [];
	let rest = '';
	let wake: () => void = () => {};
	const stream = new Duplex({
		read() {},
		write(chunk: Buffer, _encoding, done) {
			const lines = (rest + chunk.toString()).split('\n');
			rest = lines.pop() ?? '';
			got.push(...lines);
			wake();
			done();
		},
	});
	return {
		stream,
		say(text) {
			stream.push(Buffer.from(text));
		},
		async next() {
			while (got.length === 0) {
				await new Promise<void>((resolve) => {
					wake = resolve;
				});
			}

			return JSON.parse(got.shift()!) as {execute: string; id: string};
		},
		end() {
			stream.push(null);
		},
	};
}

async function opened(): Promise<{qemu: Peer; qmp: Qmp}> {
	const qemu = peer();
	const opening = openQmp(qemu.stream, 'node-1');
	qemu.say(greeting);
	const {execute, id} = await qemu.next();
	if (execute !== 'qmp_capabilities') {
		throw new Error(execute);
	}

	qemu.say(`{"return": {}, "id": "${id}"}\r\n`);
	return {qemu, qmp: await opening};
}

test('the greeting tells the version, and capabilities are negotiated', async (t) => {
	const {qmp} = await opened();
	t.is(qmp.version, '7.2.22');
});

test('answers go to their commands, whatever their order', async (t) => {
	const {qemu, qmp} = await opened();
	const [first, second] = [qmp.execute('query-status'), qmp.execute('human-monitor-command', {'command-line': 'info roms'})];
	const [a, b] = [await qemu.next(), await qemu.next()];
	t.deepEqual(b.arguments, {'command-line': 'info roms'});
	qemu.say(`{"return": "two", "id": "${b.id}"}\r\n{"return": {"status": "running"}, "id": "${a.id}"}\r\n`);
	t.deepEqual(await first, {status: 'running'});
	t.is(await second, 'two');
});

test('messages may come in pieces, and letters too', async (t) => {
	const {qemu, qmp} = await opened();
	const answer = qmp.execute('query-name');
	const {id} = await qemu.next();
	for (const byte of Buffer.from(`{"return": {"name": "Zürich"}, "id": "${id}"}\r\n`)) {
		qemu.stream.push(Buffer.from([byte]));
	}

	t.deepEqual(await answer, {name: 'Zürich'});
});

test('events are told to those who listen, with their time', async (t) => {
	const {qemu, qmp} = await opened();
	const events: unknown[] = [];
	const stop = qmp.onEvent((event) => events.push(event));
	const shutdown = '{"event": "SHUTDOWN", "data": {"guest": true}, "timestamp": {"seconds": 1700000000, "microseconds": 500000}}\r\n';
	qemu.say(shutdown);
	const done = qmp.execute('query-status');
	qemu.say(`{"return": {}, "id": "${(await qemu.next()).id}"}\r\n`);
	await done;
	stop();
	qemu.say(shutdown);
	qemu.end();
	await qmp.closed;
	t.deepEqual(events, [{event: 'SHUTDOWN', data: {guest: true}, at: 1_700_000_000_500}]);
});

test('an error of QEMU is an error with its words', async (t) => {
	const {qemu, qmp} = await opened();
	const answer = qmp.execute('frobnicate');
	qemu.say(`{"error": {"class": "CommandNotFound", "desc": "The command frobnicate has not been found"}, "id": "${(await qemu.next()).id}"}\r\n`);
	const error = await t.throwsAsync(answer, {instanceOf: LabError});
	t.is(error.code, 'monitor-refused');
	t.regex(error.message, /has not been found/);
	t.deepEqual(error.details, ['class CommandNotFound']);
});

test('a command without an answer is given up, and its late answer ignored', async (t) => {
	const {qemu, qmp} = await opened();
	const error = await t.throwsAsync(qmp.execute('query-status', undefined, {timeout: 50}), {instanceOf: LabError});
	t.is(error.code, 'monitor-lost');
	qemu.say(`{"return": {}, "id": "${(await qemu.next()).id}"}\r\n`);
	const answer = qmp.execute('query-status');
	qemu.say(`{"return": {"status": "paused"}, "id": "${(await qemu.next()).id}"}\r\n`);
	t.deepEqual(await answer, {status: 'paused'});
});

test('commands fail when the connection ends', async (t) => {
	const {qemu, qmp} = await opened();
	const answer = qmp.execute('query-status');
	await qemu.next();
	qemu.end();
	t.regex((await t.throwsAsync(answer, {instanceOf: LabError})).message, /before it answered `query-status`/);
	await qmp.closed;
	t.is((await t.throwsAsync(qmp.execute('query-status'), {instanceOf: LabError})).code, 'monitor-lost');
});

test('what is no QMP ends the connection', async (t) => {
	for (const text of ['HTTP/1.1 400 Bad Request\r\n', '[1, 2]\r\n', '"text"\r\n', '\u0000\u0001\r\n']) {
		const qemu = peer();
		const opening = openQmp(qemu.stream, 'node-1');
		qemu.say(text);
		t.is((await t.throwsAsync(opening, {instanceOf: LabError})).code, 'monitor-lost', text);
		t.true(qemu.stream.destroyed);
	}
});

test('messages with unknown ids and odd fields are ignored', async (t) => {
	const {qemu, qmp} = await opened();
	qemu.say('{"return": {}, "id": "other"}\r\n{"error": null}\r\n{"id": {}}\r\n{"event": 5}\r\n{}\r\n\r\n');
	const answer = qmp.execute('query-status');
	qemu.say(`{"return": 1, "id": "${(await qemu.next()).id}"}\r\n`);
	t.is(await answer, 1);
});

test('a message without an end is not collected for ever', async (t) => {
	const {qemu, qmp} = await opened();
	const piece = 'x'.repeat(1024 * 1024);
	for (let count = 0; count < 20; count++) {
		qemu.say(piece);
	}

	await qmp.closed;
	t.true(qemu.stream.destroyed);
});

test('a silent monitor is given up', async (t) => {
	const error = await t.throwsAsync(openQmp(peer().stream, 'node-1', {timeout: 50}), {instanceOf: LabError});
	t.is(error.code, 'monitor-lost');
});

test('it works over a unix socket', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const server = createServer((socket: Socket) => {
			socket.write(greeting);
			socket.on('data', (chunk: Buffer) => {
				const {id} = JSON.parse(chunk.toString()) as {id: string};
				socket.write(`{"return": {}, "id": "${id}"}\r\n`);
			});
		});
		server.listen(path.join(folder, 'qmp.sock'));
		await once(server, 'listening');
		const qmp = await connectQmp(path.join(folder, 'qmp.sock'), 'node-1');
		t.deepEqual(await qmp.execute('stop'), {});
		qmp.close();
		server.close();
	});
});
