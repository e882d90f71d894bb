/** Real QEMU processes, with a guest of half a kilobyte: they start in a moment, whatever the computer. */
import {once} from 'node:events';
import {constants} from 'node:fs';
import {readdir, readFile, readlink, stat, writeFile} from 'node:fs/promises';
import {createServer} from 'node:net';
import path from 'node:path';
import test from 'ava';
import {startFabric} from '../../lab/fabric/fabric.ts';
import {LabError} from '../../lab/host/error.ts';
import {isAlive} from '../../lab/host/process.ts';
import {run} from '../../lab/host/program.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {until} from '../../lab/host/wait.ts';
import {connectConsole} from '../../lab/machine/console.ts';
import {opensReadOnly} from '../../lab/machine/emulator.ts';
import {startMachine} from '../../lab/machine/machine.ts';
import {probeKernel, probeLines} from '../../lab/machine/probe-kernel.ts';
import type {MachineSpecification} from '../../lab/machine/specification.ts';
import {exampleMachine} from '../machine/example.ts';

const mib = 1024 ** 2;

/** A folder with all that a machine is started from, and its specification. */
async function withParts(use: (folder: string, spec: MachineSpecification) => Promise<void>, changes: Partial<MachineSpecification> = {}): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		await writeFile(path.join(folder, 'vmlinuz'), probeKernel({calls: 1, end: 'halt'}));
		await writeFile(path.join(folder, 'initramfs'), Buffer.alloc(512));
		await writeFile(path.join(folder, 'layer,1.erofs'), Buffer.alloc(2 * mib));
		await run('qemu-img', ['create', '-q', '-f', 'qcow2', 'disk.qcow2', '16M'], {cwd: folder});
		await use(folder, exampleMachine({
			lab: 'vm-test', memory: 32 * mib, cpus: 1, memoryFile: path.join(folder, 'memory'),
			layers: [{file: path.join(folder, 'layer,1.erofs'), bytes: 2 * mib}, {file: path.join(folder, 'layer,1.erofs'), bytes: 2 * mib}],
			...changes,
		}));
	});
}

test('a machine starts, answers its monitor and writes its console', async (t) => {
	await withParts(async (folder, spec) => {
		const fabric = await startFabric({folder, networks: [{name: 'cluster', ports: [{name: 'node-1', socket: 'node-1.sock'}]}]});
		const machine = await startMachine({...spec, links: [{mac: '02:00:00:00:01:01', socket: 'node-1.sock'}]}, {cwd: folder});
		try {
			t.true(await isAlive(machine.identity));
			t.regex(machine.qmp.version, /^\d+\.\d+\.\d+$/);
			t.like(await machine.qmp.execute('query-status'), {status: 'running'});
			t.like(await machine.qmp.execute('query-name'), {name: 'vm-test/node-1'});
			const devices = await machine.qmp.execute('query-memory-devices') as unknown[];
			t.is(devices.length, 2);
			await until('the guest runs', async () => {
				const log = await readFile(path.join(folder, 'console.log'), 'utf8').catch(() => '');
				return log.includes(probeLines.done) ? {met: true, value: undefined} : {met: false, seen: JSON.stringify(log)};
			}, {deadline: 60_000});
			const console = await connectConsole(path.join(folder, 'console.sock'));
			console.destroy();
			t.is((await stat(path.join(folder, 'memory'))).size, 32 * mib);
		} finally {
			await machine.powerOff();
			await fabric.stop();
		}

		t.deepEqual(await machine.ended, {code: 0, signal: null});
		t.false(await isAlive(machine.identity));
	});
});

test('a machine that is killed is gone, and its end is explained', async (t) => {
	await withParts(async (folder, spec) => {
		const machine = await startMachine(spec, {cwd: folder});
		await machine.kill();
		t.deepEqual(await machine.ended, {code: null, signal: 'SIGKILL'});
		t.is((await machine.explainEnd()).message, 'The machine node-1 ended by SIGKILL');
		await machine.qmp.closed;
		// Again does nothing.
		await machine.kill();
		await machine.powerOff();
	});
});

test('a guest that does not heed its power button is ended after the grace', async (t) => {
	await withParts(async (folder, spec) => {
		const machine = await startMachine(spec, {cwd: folder});
		await machine.powerOff({grace: 300});
		t.deepEqual(await machine.ended, {code: 0, signal: null});
	});
});

/** How a process has opened a file: the access mode of open(2), from /proc/PID/fdinfo (proc(5)). */
async function accessTo(file: string, pid: number): Promise<number[]> {
	const found: number[] = [];
	for (const fd of await readdir(`/proc/${pid}/fd`)) {
		const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '');
		if (target === file) {
			const [, flags = ''] = /^flags:\s*(\d+)/m.exec(await readFile(`/proc/${pid}/fdinfo/${fd}`, 'utf8')) ?? [];
			found.push(Number.parseInt(flags, 8) & (constants.O_RDONLY | constants.O_WRONLY | constants.O_RDWR));
		}
	}

	return found;
}

test('a machine on frozen memory has opened it for reading alone where this QEMU can', async (t) => {
	const readOnlyMemory = await opensReadOnly(undefined);
	await withParts(async (folder, spec) => {
		await writeFile(spec.memoryFile, Buffer.alloc(spec.memory, 'frozen'));
		const machine = await startMachine({...spec, frozen: true, readOnlyMemory}, {cwd: folder});
		try {
			t.deepEqual(await accessTo(spec.memoryFile, machine.pid), [readOnlyMemory ? constants.O_RDONLY : constants.O_RDWR]);
		} finally {
			await machine.powerOff();
		}
	});
});

test('two machines share a layer', async (t) => {
	await withParts(async (folder, spec) => {
		const other = {...spec, name: 'node-2', memoryFile: path.join(folder, 'memory-2'), disk: 'disk-2.qcow2', qmpSocket: 'qmp-2.sock', consoleSocket: 'console-2.sock', forkSocket: 'fork-2.sock'};
		await run('qemu-img', ['create', '-q', '-f', 'qcow2', 'disk-2.qcow2', '16M'], {cwd: folder});
		const machines = [await startMachine(spec, {cwd: folder}), await startMachine(other, {cwd: folder})];
		t.true((await Promise.all(machines.map(async ({identity}) => isAlive(identity)))).every(Boolean));
		await Promise.all(machines.map(async (machine) => machine.powerOff()));
	});
});

test('a taken host port is told as such, so that another one can be chosen', async (t) => {
	const server = createServer();
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	const {port} = server.address() as {port: number};
	await withParts(async (folder, spec) => {
		const forwards = [{hostPort: port, guestPort: 22}];
		const error = await t.throwsAsync(startMachine({...spec, maintenance: {...spec.maintenance, forwards}}, {cwd: folder}), {instanceOf: LabError});
		t.is(error.code, 'port-taken');
		t.true(error.message.includes(String(port)));
	});
	server.close();
});

test('a machine that cannot start fails with what QEMU said of it', async (t) => {
	await withParts(async (folder, spec) => {
		// What a former start left in the log is not repeated.
		await writeFile(path.join(folder, 'qemu.log'), 'words of long ago\n');
		const error = await t.throwsAsync(startMachine({...spec, disk: 'no-such.qcow2'}, {cwd: folder}), {instanceOf: LabError});
		t.is(error.code, 'machine-exited');
		t.regex(error.details.join('\n'), /no-such\.qcow2.*No such file/);
		t.false(error.details.join('\n').includes('long ago'));
		t.is(error.log, path.join(folder, 'qemu.log'));
	});
});

test('a machine dies with the process that started it, even by SIGKILL', async (t) => {
	await withParts(async (folder, spec) => {
		await writeFile(path.join(folder, 'start.mts'), `
			import {startMachine} from ${JSON.stringify(new URL('../../lab/machine/machine.ts', import.meta.url).href)};
			const machine = await startMachine(${JSON.stringify(spec)}, {cwd: ${JSON.stringify(folder)}});
			console.log(JSON.stringify(machine.identity));
			process.kill(process.pid, 'SIGKILL');
		`);
		await run(process.execPath, ['--import', import.meta.resolve('tsx'), path.join(folder, 'start.mts')], {timeout: 60_000}).then(
			() => t.fail('it was to be killed'),
			(error: LabError) => {
				const identity = JSON.parse(error.details.find((line) => line.startsWith('{')) ?? '{}') as Parameters<typeof isAlive>[0];
				t.truthy(identity.pid);
				return until('the machine has ended', async () => ((await isAlive(identity)) ? {met: false, seen: 'it runs'} : {met: true, value: undefined}), {deadline: 5000});
			},
		);
	});
});

test('an aborted start leaves no process', async (t) => {
	await withParts(async (folder, spec) => {
		const abort = new AbortController();
		const starting = startMachine(spec, {cwd: folder, signal: abort.signal});
		abort.abort(new Error('stop'));
		await t.throwsAsync(starting);
		const {stdout} = await run('ps', ['-eo', 'args']);
		t.false(stdout.includes(folder));
	});
});
