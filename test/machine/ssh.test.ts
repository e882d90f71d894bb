import {readFile} from 'node:fs/promises';
import {PassThrough, Writable} from 'node:stream';
import test, {type ExecutionContext} from 'ava';
import {LabError} from '../../lab/host/error.ts';
import {failure} from '../../lab/host/failure.ts';
import {until} from '../../lab/host/wait.ts';
import {generateSshKeys} from '../../lab/machine/keys.ts';
import {connectSsh, type SshConnection} from '../../lab/machine/ssh.ts';
import {startSshServer, type TestServer, type TestServerOptions} from './ssh-server.ts';

async function connected(t: ExecutionContext, options: TestServerOptions = {}): Promise<{server: TestServer; ssh: SshConnection}> {
	const server = await served(t, options);
	const ssh = await connectSsh({port: server.port, hostKey: server.hostKeys.publicKey, privateKey: server.userKeys.privateKey, machine: 'node-1', deadline: 20_000});
	t.teardown(() => {
		ssh.close();
	});
	return {server, ssh};
}

/** A server that ends with its test, a failed one too: what still listens would keep the whole file from its end. */
async function served(t: ExecutionContext, options: TestServerOptions = {}): Promise<TestServer> {
	const server = await startSshServer(options);
	t.teardown(async () => server.close());
	return server;
}

test('a command gives its output and exit code', async (t) => {
	const {ssh} = await connected(t);
	const result = await ssh.exec('echo out; echo err >&2; exit 3');
	t.is(result.stdout, 'out\n');
	t.is(result.stderr, 'err\n');
	t.is(result.exitCode, 3);
});

test('a command that has ended before anybody could listen gives its output and exit code', async (t) => {
	const {ssh} = await connected(t, {endAtOnce: 3});
	const result = await ssh.exec('anything');
	t.is(result.stderr, 'at once\n');
	t.is(result.exitCode, 3);
});

test('input is given to the command, and its end', async (t) => {
	const {ssh} = await connected(t);
	const input = 'x'.repeat(300_000);
	t.is((await ssh.exec('wc -c', {input})).stdout.trim(), '300000');
	t.is((await ssh.exec('cat')).stdout, '');
});

test('terminal escapes of a guest do not reach the text, but the bytes are whole', async (t) => {
	const {ssh} = await connected(t);
	const seen: string[] = [];
	const result = await ssh.exec('printf "a\\033[31mred\\033]0;title\\007\\033[0m\\tb\\n"', {onOutput: (text) => seen.push(text)});
	t.is(result.stdout, 'ared\tb\n');
	t.is(seen.join(''), 'ared\tb\n');
	t.true(result.bytes.includes('\u001B[31m'));
});

test('an output that goes elsewhere arrives there byte for byte, as fast as it is taken', async (t) => {
	const {ssh} = await connected(t);
	const taken: Buffer[] = [];
	let most = 0;
	const slow = new Writable({
		highWaterMark: 1024,
		write(chunk: Buffer, _encoding, done) {
			taken.push(chunk);
			most = Math.max(most, slow.writableLength);
			setImmediate(done);
		},
	});
	const {exitCode, stdout, stderr} = await ssh.exec('printf "\\037\\213\\010\\000\\377\\376\\000A"; head -c 3000000 /dev/zero; echo said >&2; exit 3', {pipe: {stdout: slow}});
	const bytes = Buffer.concat(taken);
	t.deepEqual([exitCode, stdout, stderr], [3, '', 'said\n']);
	t.deepEqual([...bytes.subarray(0, 8)], [0x1f, 0x8b, 0x08, 0x00, 0xff, 0xfe, 0x00, 0x41]);
	t.is(bytes.length, 3_000_008);
	t.true(most < 1_000_000, `${most} bytes waited`);
});

test('an error output that is taken slowly is taken to its end before the command has ended', async (t) => {
	const {ssh} = await connected(t);
	let taken = 0;
	const slow = new Writable({
		highWaterMark: 1024,
		write(chunk: Buffer, _encoding, done) {
			taken += chunk.length;
			setImmediate(done);
		},
	});
	t.is((await ssh.exec('head -c 1000000 /dev/zero >&2; exit 5', {pipe: {stderr: slow}})).exitCode, 5);
	t.is(taken, 1_000_000);
});

test('a command whose output nobody reads any more is run to its end', async (t) => {
	const {ssh} = await connected(t);
	const closed = new PassThrough();
	closed.destroy();
	t.is((await ssh.exec('head -c 5000000 /dev/zero; exit 4', {pipe: {stdout: closed}, timeout: 30_000})).exitCode, 4);
});

test('a command whose reader leaves in the middle is run to its end', async (t) => {
	for (const name of ['stdout', 'stderr'] as const) {
		const {ssh} = await connected(t);
		const reader = new PassThrough();
		reader.once('data', () => {
			reader.destroy();
		});
		t.is((await ssh.exec(`head -c 5000000 /dev/zero ${name === 'stderr' ? '>&2' : ''}; exit 4`, {pipe: {[name]: reader}, timeout: 30_000})).exitCode, 4);
	}
});

test('output beyond the limit ends the command', async (t) => {
	const {ssh} = await connected(t);
	const error = await t.throwsAsync(ssh.exec('yes', {limit: 100_000}), {instanceOf: LabError});
	t.is(error.code, 'output-too-long');
	t.is((await ssh.exec('echo still here')).stdout, 'still here\n');
});

test('a command that takes too long is killed, and its last output told', async (t) => {
	const {ssh, server} = await connected(t);
	const error = await t.throwsAsync(ssh.exec('echo begun; exec sleep 60', {timeout: 6000}), {instanceOf: LabError});
	t.is(error.code, 'command-timed-out');
	t.deepEqual(error.details, ['begun']);
	await until('the server is told to kill it', async () => {
		const last = server.requests.at(-1) ?? 'nothing';
		return last.includes('KILL') ? {met: true, value: undefined} : {met: false, seen: last};
	}, {deadline: 10_000});
});

test('an aborted command is given up with the reason of the abort', async (t) => {
	const {ssh} = await connected(t);
	const abort = new AbortController();
	const running = ssh.exec('exec sleep 60', {signal: abort.signal});
	abort.abort(failure.interrupted('SIGINT'));
	const error = await t.throwsAsync(running, {instanceOf: LabError});
	t.is(error.message, 'Interrupted by SIGINT');
});

test('the signal that ended a command is told', async (t) => {
	const {ssh} = await connected(t);
	const result = await ssh.exec('kill -TERM $$');
	t.is(result.exitCode, 143);
	t.is(result.signal, 'TERM');
});

test('twenty commands at once all get their turn', async (t) => {
	const {ssh} = await connected(t);
	const results = await Promise.all(Array.from({length: 20}, async (_, index) => ssh.exec(`echo ${index}`)));
	t.deepEqual(results.map(({stdout}) => Number(stdout)), Array.from({length: 20}, (_, index) => index));
});

test('each of the commands at one time has a connection to itself, which the next ones use again', async (t) => {
	const {ssh, server} = await connected(t);
	await ssh.exec('true');
	t.is(server.connections, 1);
	await Promise.all([ssh.exec('sleep 0.3'), ssh.exec('sleep 0.3'), ssh.exec('sleep 0.3')]);
	t.is(server.connections, 3);
	await Promise.all([ssh.exec('sleep 0.1'), ssh.exec('sleep 0.1')]);
	await ssh.exec('true');
	t.is(server.connections, 3);
	await Promise.all(Array.from({length: 12}, async () => ssh.exec('sleep 0.1')));
	t.is(server.connections, 8);
	ssh.close();
	await ssh.closed;
});

test('waiting for a free connection ends with the reason of an abort', async (t) => {
	const {ssh} = await connected(t);
	const stop = new AbortController();
	const long = Promise.allSettled(Array.from({length: 8}, async () => ssh.exec('exec sleep 60', {signal: stop.signal})));
	const abort = new AbortController();
	const waiting = ssh.exec('true', {signal: abort.signal});
	abort.abort(failure.interrupted('SIGINT'));
	t.is((await t.throwsAsync(waiting, {instanceOf: LabError})).message, 'Interrupted by SIGINT');
	stop.abort(failure.interrupted('SIGINT'));
	await long;
	t.is((await ssh.exec('echo still here')).stdout, 'still here\n');
});

test('a command for a machine that hangs is given up in time, or when it is aborted, and so is the connection', async (t) => {
	const {ssh, server} = await connected(t);
	await ssh.exec('true');
	server.hang();
	const {input, output} = terminal(true);
	const leave = new AbortController();
	const shell = ssh.shell({input, output}, undefined, leave.signal);
	setImmediate(() => {
		leave.abort(failure.interrupted('SIGINT'));
	});
	t.is((await t.throwsAsync(shell, {instanceOf: LabError})).message, 'Interrupted by SIGINT');
	// On new connections, since the one that there was went with the shell.
	for (const place of ['one', 'another']) {
		const late = await t.throwsAsync(ssh.exec(`echo ${place}`, {timeout: 300}), {instanceOf: LabError});
		t.is(late.code, 'command-timed-out', place);
	}

	const abort = new AbortController();
	const waiting = ssh.exec('true', {signal: abort.signal});
	abort.abort(failure.interrupted('SIGINT'));
	t.is((await t.throwsAsync(waiting, {instanceOf: LabError})).message, 'Interrupted by SIGINT');
	await until('no connection is left on this side', async () => {
		const left = await openConnections(server.port);
		return left === 0 ? {met: true, value: undefined} : {met: false, seen: `${left} connections`};
	}, {deadline: 20_000});
	ssh.close();
	await ssh.closed;
});

/** Sockets that a process still has open to a port; those that the kernel alone still ends have no inode (proc(5), net/tcp). */
async function openConnections(port: number): Promise<number> {
	const rows = (await readFile('/proc/self/net/tcp', 'utf8')).trim().split('\n').slice(1).map((line) => line.trim().split(/\s+/));
	return rows.filter((row) => Number.parseInt(row[2]!.split(':')[1]!, 16) === port && row[9] !== '0').length;
}

test('a machine that ends in the middle of a command is an error of the machine', async (t) => {
	const {ssh, server} = await connected(t);
	const running = ssh.exec('echo begun; exec sleep 60', {
		onOutput() {
			server.cut();
		},
	});
	const error = await t.throwsAsync(running, {instanceOf: LabError});
	t.is(error.code, 'ssh-lost');
	t.is(error.kind, 'machine');
	await ssh.closed;
	t.is((await t.throwsAsync(ssh.exec('true'), {instanceOf: LabError})).code, 'ssh-lost');
});

test('another host key than the pinned one is refused at once', async (t) => {
	const server = await served(t);
	const error = await t.throwsAsync(connectSsh({
		port: server.port, hostKey: (await generateSshKeys('host', 'other')).publicKey, privateKey: server.userKeys.privateKey, machine: 'node-1', deadline: 20_000,
	}), {instanceOf: LabError});
	t.is(error.code, 'host-key-mismatch');
});

test('a key that the machine does not know is an error at once', async (t) => {
	const server = await served(t);
	const error = await t.throwsAsync(connectSsh({
		port: server.port, hostKey: server.hostKeys.publicKey, privateKey: (await generateSshKeys('login', 'other')).privateKey, machine: 'node-1', deadline: 20_000,
	}), {instanceOf: LabError});
	t.is(error.code, 'ssh-refused');
});

test('connections that are accepted and never answered, as of a booting machine, do not stop a later one', async (t) => {
	const {ssh} = await connected(t, {silentFor: 3});
	t.is((await ssh.exec('echo up')).stdout, 'up\n');
});

test('a machine that never answers is told with what was seen', async (t) => {
	const server = await served(t, {silentFor: Infinity});
	const error = await t.throwsAsync(connectSsh({
		port: server.port, hostKey: server.hostKeys.publicKey, privateKey: server.userKeys.privateKey, machine: 'node-1', deadline: 4000,
	}), {instanceOf: LabError});
	t.is(error.code, 'wait-expired');
	t.regex(error.details.join(), /the machine is silent/);
});

test('waiting for a machine ends with the reason when it is given up', async (t) => {
	const server = await served(t, {silentFor: Infinity});
	const abort = new AbortController();
	const waiting = connectSsh({
		port: server.port, hostKey: server.hostKeys.publicKey, privateKey: server.userKeys.privateKey, deadline: 60_000, signal: abort.signal,
	});
	abort.abort(failure.machineExited('node-1', 'by SIGBUS', [], 'qemu.log'));
	t.is((await t.throwsAsync(waiting, {instanceOf: LabError})).code, 'machine-exited');
});

/** A terminal of the given kind, what is typed on it, and what it shows. */
function terminal(isTTY: boolean): {input: PassThrough & NodeJS.ReadStream; output: PassThrough & NodeJS.WriteStream; modes: boolean[]} {
	const modes: boolean[] = [];
	const input = Object.assign(new PassThrough(), {isTTY, setRawMode: (mode: boolean) => modes.push(mode)});
	const output = Object.assign(new PassThrough(), {isTTY, columns: 100, rows: 40});
	return {input: input as unknown as PassThrough & NodeJS.ReadStream, output: output as unknown as PassThrough & NodeJS.WriteStream, modes};
}

test('a shell is on the user\'s terminal, of its size, raw while it lasts', async (t) => {
	const {ssh} = await connected(t);
	const {input, output, modes} = terminal(true);
	const shell = ssh.shell({input, output});
	input.write('7');
	t.is(await shell, 7);
	t.is(String(output.read()), '\u001B[1m100x40\u001B[0m 7');
	t.deepEqual(modes, [true, false]);
});

test('a shell ends when it is aborted, and the terminal is as it was', async (t) => {
	const {ssh} = await connected(t);
	const {input, output, modes} = terminal(true);
	const abort = new AbortController();
	const shell = ssh.shell({input, output}, 'exec sleep 60', abort.signal);
	setImmediate(() => {
		abort.abort(failure.interrupted('SIGTERM'));
	});
	t.is((await t.throwsAsync(shell, {instanceOf: LabError})).message, 'Interrupted by SIGTERM');
	t.true(modes.length === 0 || modes.at(-1) === false);
});

test('a shell without a terminal passes its input on, and the end of it', async (t) => {
	const {ssh} = await connected(t);
	const {input, output, modes} = terminal(false);
	const shell = ssh.shell({input, output}, 'cat; exit 4');
	input.end('some text');
	t.is(await shell, 4);
	t.is(String(output.read()), 'some text');
	t.deepEqual(modes, []);
});
