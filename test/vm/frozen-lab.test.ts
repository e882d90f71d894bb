/** Frozen labs that are broken, in the way, or fought over: what is told, with which exit code, and what is left. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {chmod, mkdir, open, readdir, readFile, rename, rm, stat, truncate, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {findProgram, run} from '../../lab/host/program.ts';
import {until} from '../../lab/host/wait.ts';
import type {LabStatus} from '../../lab/runtime/labs.ts';
import type {MadeStage} from '../../lab/store/store.ts';
import {type CommandOptions, type CommandOutcome, outcomeText, vmlabProgram} from '../rig/command.ts';
import {forkBenchFor, scenario} from '../rig/fork-bench.ts';
import {processesOf, remainsOf} from '../rig/remains.ts';

const bench = forkBenchFor(test);
const long = 30 * 60_000;

test.serial.afterEach.always('what a failed test left is ended', async () => {
	await bench.run(['down', '--all']);
});

/** Runs a command and sends it a signal when it has said something. */
async function runUntil(words: readonly string[], said: RegExp, signal: NodeJS.Signals, options: CommandOptions = {}): Promise<CommandOutcome> {
	let sent = false;
	return bench.run(words, {
		...options,
		onProgress(text, child) {
			if (!sent && said.test(text)) {
				sent = true;
				child.kill(signal);
			}
		},
	});
}

async function noProcesses(...names: string[]): Promise<void> {
	await until('no process of the labs remains', async () => {
		const left = (await Promise.all(names.map(async (name) => processesOf({name, state: bench.state})))).flat();
		return left.length === 0 ? {met: true, value: undefined} : {met: false, seen: left.join(', ')};
	}, {deadline: 5000, interval: 100});
}

/** What is being made. */
async function scratch(): Promise<string[]> {
	return readdir(path.join(bench.cache, 'scratch')).catch(() => []);
}

async function freezingBegins(): Promise<void> {
	await until('the lab is being frozen', async () => ((await scratch()).length > 0 ? {met: true, value: undefined} : {met: false, seen: 'nothing in the scratch folder'}), {deadline: 60_000, interval: 5});
}

/** Any command clears what dead ones left; then there is nothing. */
async function nothingLeft(t: ExecutionContext, ...names: string[]): Promise<void> {
	t.deepEqual(JSON.parse(await bench.expect(t, 0, ['list', '-o', 'json'])), []);
	for (const name of names) {
		t.deepEqual(await remainsOf({name, state: bench.state}), []);
	}

	t.deepEqual(await readdir(path.join(bench.state, 'labs')), []);
	t.deepEqual(await scratch(), []);
}

async function statusOf(t: ExecutionContext, name: string): Promise<LabStatus> {
	return JSON.parse(await bench.expect(t, 0, ['status', name, '-o', 'json'])) as LabStatus;
}

async function kept(name: string): Promise<MadeStage> {
	const [stage] = await bench.stages(name);
	if (stage === undefined) {
		throw new Error(`there is no stage ${name}`);
	}

	return stage;
}

test.serial('after kill -9 of who freezes a lab nothing of it is left, and the next one makes it', async (t) => {
	t.timeout(long);
	const outcome = await runUntil(['run', scenario], /freezing/, 'SIGKILL');
	t.is(outcome.code, 'SIGKILL', outcomeText(outcome));
	const names = await readdir(path.join(bench.state, 'labs'));
	t.regex(names.join(), /^ready-[\da-f]+-\d+$/);
	await noProcesses(...names);
	t.deepEqual(await bench.stages('ready lab'), []);
	await nothingLeft(t, ...names);
	await bench.expect(t, 0, ['run', scenario]);
	await kept('ready lab');
	await bench.expect(t, 0, ['cache', 'verify']);
	await nothingLeft(t, scenario, ...names);
});

test.serial('after kill -9 of a fork\'s supervisor nothing of it is left, and the frozen lab is as it was', async (t) => {
	t.timeout(long);
	await bench.expect(t, 0, ['up', scenario, '--name', 'one']);
	process.kill((await statusOf(t, 'one')).supervisor.pid, 'SIGKILL');
	await noProcesses('one');
	await nothingLeft(t, 'one');
	await bench.expect(t, 0, ['cache', 'verify']);
});

test.serial('after kill -9 of who forks a lab nothing of it is left, and the frozen lab is as it was', async (t) => {
	t.timeout(long);
	const outcome = await runUntil(['run', scenario], /forking the frozen lab/, 'SIGKILL');
	t.is(outcome.code, 'SIGKILL', outcomeText(outcome));
	await noProcesses(scenario);
	await nothingLeft(t, scenario);
	await bench.expect(t, 0, ['cache', 'verify']);
	await bench.expect(t, 0, ['run', scenario]);
});

test.serial('after kill -9 of the supervisor that freezes its lab the command fails, and nothing of either is left', async (t) => {
	t.timeout(long);
	await bench.expect(t, 0, ['up', scenario, '--name', 'one']);
	const {supervisor} = await statusOf(t, 'one');
	const freezing = bench.run(['freeze', 'one', 'half']);
	await freezingBegins();
	process.kill(supervisor.pid, 'SIGKILL');
	const outcome = await freezing;
	t.is(outcome.code, 70, outcomeText(outcome));
	t.regex(outcome.stderr, /The supervisor of the lab one was lost/);
	await noProcesses('one');
	await nothingLeft(t, 'one');
	t.deepEqual(await bench.stages('frozen half'), []);
	await bench.expect(t, 0, ['cache', 'verify']);
});

test.serial('Ctrl-C while a lab is frozen keeps nothing of it, and the lab goes on', async (t) => {
	t.timeout(long);
	await bench.expect(t, 0, ['up', scenario, '--name', 'one']);
	const freezing = spawn(process.execPath, [vmlabProgram, 'freeze', 'one', 'half'], {stdio: 'ignore', env: {...process.env, ...bench.env}});
	const ended = once(freezing, 'close');
	await freezingBegins();
	freezing.kill('SIGINT');
	t.deepEqual(await ended, [130, null]);
	await until('nothing of it is left', async () => {
		const left = await scratch();
		return left.length === 0 ? {met: true, value: undefined} : {met: false, seen: left.join()};
	}, {deadline: 120_000, interval: 100});
	t.deepEqual(await bench.stages('frozen half'), []);
	t.is(await bench.ask(t, 'one', 'node-1', 'echo here'), 'here');
	await bench.expect(t, 0, ['freeze', 'one', 'half']);
	await bench.expect(t, 0, ['cache', 'remove', 'half']);
	await bench.expect(t, 0, ['down', 'one']);
	await nothingLeft(t, 'one');
});

test.serial('what a fork that starts or runs is made of is not pruned', async (t) => {
	t.timeout(long);
	let running = true;
	const before = new Set(await readdir(path.join(bench.cache, 'leases')));
	const up = bench.expect(t, 0, ['up', scenario, '--name', 'one']).finally(() => {
		running = false;
	});
	let rounds = 0;
	// Before it has come so far nobody knows that it wants anything.
	const {key} = await kept('ready lab');
	await until('the command holds the frozen lab', async () => {
		const folder = path.join(bench.cache, 'leases');
		const leases = (await readdir(folder).catch(() => [])).filter((name) => !before.has(name));
		const held = await Promise.all(leases.map(async (name) => (await readFile(path.join(folder, name), 'utf8')).includes(key)));
		return held.includes(true) ? {met: true, value: undefined} : {met: false, seen: leases.join(' ')};
	}, {deadline: 60_000, interval: 20});
	while (running) {
		const removed = JSON.parse(await bench.expect(t, 0, ['cache', 'prune', '--unused', '0s', '-o', 'json'])) as Array<{name: string}>;
		t.deepEqual(removed.map(({name}) => name), []);
		rounds += 1;
	}

	await up;
	t.true(rounds > 0);
	t.deepEqual(JSON.parse(await bench.expect(t, 0, ['cache', 'prune', '--unused', '0s', '-o', 'json'])), []);
	// Nor where nothing is known of the labs.
	const elsewhere = ['--state-dir', path.join(bench.folder, 'elsewhere')];
	t.deepEqual(JSON.parse(await bench.expect(t, 0, ['cache', 'prune', '--unused', '0s', '-o', 'json', ...elsewhere])), []);
	const refused = await bench.run(['cache', 'remove', key, ...elsewhere]);
	t.regex(refused.stderr, /another command or lab uses it/, outcomeText(refused));
	t.is(await bench.ask(t, 'one', 'node-1', 'cat /proc/sys/kernel/hostname'), 'node-1');
	await bench.expect(t, 0, ['freeze', 'one', 'kept']);
	await bench.expect(t, 0, ['down', 'one']);
	await nothingLeft(t, 'one');
});

test.serial('a machine that has died makes the lab one that cannot be frozen, and its name is not taken', async (t) => {
	t.timeout(long);
	await bench.expect(t, 0, ['up', scenario, '--name', 'one']);
	const {machines} = await statusOf(t, 'one');
	process.kill(machines[1]!.pid!, 'SIGKILL');
	await until('the lab has noticed', async () => {
		const {state} = await statusOf(t, 'one');
		return state === 'failed' ? {met: true, value: undefined} : {met: false, seen: state};
	}, {deadline: 30_000, interval: 200});
	const outcome = await bench.run(['freeze', 'one', 'dead']);
	t.is(outcome.code, 6, outcomeText(outcome));
	t.regex(outcome.stderr, /node-2/);
	t.deepEqual(await bench.stages('frozen dead'), []);
	await bench.expect(t, 0, ['down', 'one']);
	await nothingLeft(t, 'one');
});

test.serial('a disk that is full while a lab is frozen is told as one, and the lab and the store are good', async (t) => {
	t.timeout(long);
	const script = [
		'small=$(mktemp -d) && mount -t tmpfs -o size=8m none "$small" && mkdir "$small/stages"',
		'cp "$VMLAB_CACHE_DIR"/probe-* "$small" && ln -s "$VMLAB_CACHE_DIR"/stages/* "$small/stages"',
		'VMLAB_CACHE_DIR=$small',
		'"$0" "$1" up two --name full',
		'"$0" "$1" freeze full toomuch; echo "freeze: $?"',
		// Now there is room for what changes while it stands still, and none for all of its memory.
		'mount -o remount,size=64m none "$small"',
		'"$0" "$1" freeze full toomuch; echo "freeze again: $?"',
		'echo "left: $(ls "$small/scratch" | wc -l)"',
		'"$0" "$1" exec full node-1 -- ping -c 1 -W 20 192.168.1.2 >/dev/null; echo "ping: $?"',
		'mount -o remount,size=1g none "$small"',
		'"$0" "$1" freeze full enough; echo "with room: $?"',
		'"$0" "$1" down full; echo "down: $?"',
		'"$0" "$1" cache verify',
		'umount "$small"; rmdir "$small"',
	].join('\n');
	const {stdout, stderr} = await run('unshare', ['--user', '--map-root-user', '--mount', 'sh', '-c', script, process.execPath, vmlabProgram], {
		env: {...bench.env, CI: 'true', NO_COLOR: '1', NODE_OPTIONS: ''},
	});
	const told = `${stdout}\n${stderr}`;
	t.regex(stdout, /^freeze: 4$/m, told);
	t.regex(stdout, /^freeze again: 4$/m, told);
	t.is(stderr.match(/No space is left on the disk/g)?.length, 2, told);
	t.regex(stdout, /^left: 0$/m, told);
	t.regex(stdout, /^ping: 0$/m, told);
	t.regex(stdout, /^with room: 0$/m, told);
	t.regex(stdout, /^down: 0$/m, told);
	t.regex(stdout, /^frozen enough +[\da-f]+ +good$/m, told);
	t.notRegex(stdout, /toomuch/, told);
	await nothingLeft(t, 'full');
});

test.serial('a kept lab whose device state was altered is told as broken, before QEMU goes on with it', async (t) => {
	t.timeout(long);
	const file = path.join((await kept('frozen kept')).folder, 'node-1/state');
	await chmod(file, 0o600);
	const handle = await open(file, 'r+');
	const {size} = await handle.stat();
	await handle.write(Buffer.alloc(4096, 0xff), 0, 4096, Math.floor(size * 0.9));
	await handle.close();
	await chmod(file, 0o400);
	const outcome = await bench.run(['fork', 'kept', '--lab', 'altered']);
	t.is(outcome.code, 4, outcomeText(outcome));
	t.regex(outcome.stderr, /The frozen lab in .* is broken: node-1\/state was altered, last on \d{4}-/);
	const verified = await bench.run(['cache', 'verify']);
	t.is(verified.code, 5);
	t.regex(verified.stdout, /frozen kept.*node-1\/state was altered/);
	await nothingLeft(t, 'altered');
});

const harms: Readonly<Record<string, (folder: string) => Promise<void>>> = {
	'memory was cut short': async (folder) => {
		const file = path.join(folder, 'node-2/memory');
		await truncate(file, (await stat(file)).size - 4096);
	},
	'device state is gone': async (folder) => {
		await rename(path.join(folder, 'node-2/state'), path.join(folder, 'node-2/state.gone'));
	},
	'record is gone': async (folder) => rm(path.join(folder, 'frozen.json')),
};
for (const [harm, hurt] of Object.entries(harms)) {
	test.serial(`a kept lab whose ${harm} is told as broken`, async (t) => {
		t.timeout(long);
		await hurt((await kept('frozen kept')).folder);
		const outcome = await bench.run(['fork', 'kept', '--lab', 'broken']);
		t.is(outcome.code, 4, outcomeText(outcome));
		t.regex(outcome.stderr, /The frozen lab in .* is broken/);
		await nothingLeft(t, 'broken');
	});
}

test.serial('a lab that was frozen with another QEMU is not gone on with, and both are told', async (t) => {
	t.timeout(long);
	const bin = path.join(bench.folder, 'bin');
	await mkdir(bin);
	const own = await findProgram('qemu-system-x86_64');
	await writeFile(path.join(bin, 'qemu-system-x86_64'), `#!/bin/sh\n[ "$1" = --version ] && echo "QEMU emulator version 99.1" && exit\nexec ${own} "$@"\n`);
	await chmod(path.join(bin, 'qemu-system-x86_64'), 0o755);
	const env = {PATH: `${bin}:${process.env['PATH'] ?? ''}`};
	const outcome = await runUntil(['up', scenario, '--name', 'one'], /booting/, 'SIGINT', {env});
	t.is(outcome.code, 130, outcomeText(outcome));
	t.regex(outcome.stderr, /frozen lab of before is not used: qemu was QEMU emulator version .* and is QEMU emulator version 99\.1/);
	t.is((await bench.stages('ready lab')).length, 1);
	await nothingLeft(t, 'one');
	const plan = await bench.expect(t, 0, ['plan', scenario]);
	t.regex(plan, /^ready lab +[\da-f]+ +cached/m, 'for the QEMU that it was made with it is as good as before');
});

test.serial('a ready lab that was cut short or altered is made again, and the reason is told', async (t) => {
	t.timeout(long);
	const file = path.join((await kept('ready lab')).folder, 'node-1/memory');
	const {size} = await stat(file);
	await truncate(file, size - 4096);
	t.regex(await bench.expect(t, 0, ['plan', scenario]), /^ready lab +[\da-f]+ +to be made/m);
	// As long as it was, and not what it was.
	await truncate(file, size);
	const handle = await open(file, 'r+');
	await handle.write(Buffer.alloc(4096, 0xff), 0, 4096, 4096);
	await handle.close();
	t.regex(await bench.expect(t, 0, ['plan', scenario]), /^ready lab +[\da-f]+ +to be made/m);
	const outcome = await runUntil(['up', scenario, '--name', 'one'], /booting/, 'SIGINT');
	t.is(outcome.code, 130, outcomeText(outcome));
	t.regex(outcome.stderr, /The stage ready lab that was made before is not whole, and is made again: node-1\/memory was altered, last on/);
	await nothingLeft(t, 'one');
});

test.serial('what nobody uses is pruned, frozen labs too', async (t) => {
	t.timeout(long);
	const removed = JSON.parse(await bench.expect(t, 0, ['cache', 'prune', '--unused', '0s', '-o', 'json'])) as Array<{name: string}>;
	t.true(removed.some(({name}) => name === 'image bookworm'));
	t.true(removed.some(({name}) => name === 'frozen kept'));
	t.deepEqual(await readdir(path.join(bench.cache, 'stages')), []);
});
