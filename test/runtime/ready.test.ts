import {spawnSync} from 'node:child_process';
import {writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type {LabEvent} from '../../lab/event/event.ts';
import {LabError} from '../../lab/host/error.ts';
import {run} from '../../lab/host/program.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import type {SshConnection} from '../../lab/machine/ssh.ts';
import {findCrash} from '../../lab/runtime/console-tail.ts';
import {paceOf} from '../../lab/runtime/pace.ts';
import {awaitReady, conditionCommand} from '../../lab/runtime/ready.ts';
import type {ReadyCondition} from '../../lab/spec/overlay.ts';

const condition = {sentence: 's', deadline: '1s'} as const;

test('conditions are commands that every shell understands', async (t) => {
	for (const command of [conditionCommand({...condition, unit: 'etcd.service'}), conditionCommand({...condition, port: 6443}), conditionCommand({...condition, command: 'true'})]) {
		await t.notThrowsAsync(run('sh', ['-n', '-c', command]), command);
	}
});

test('a crash is found on the console, and nothing else is taken for one', (t) => {
	t.is(findCrash(['[    1.0] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100']), 'Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100');
	t.is(findCrash(['x', 'vmlab: init failed: cannot mount layer 1']), 'vmlab: init failed: cannot mount layer 1');
	t.is(findCrash(['kernel.panic = 10', 'panic_on_oops']), undefined);
});

test('deadlines grow with slowness and with crowding, within limits', (t) => {
	t.is(paceOf(1, 2, 2), 1);
	t.is(paceOf(0.5, 1, 8), 1);
	t.is(paceOf(10, 4, 2), 20);
	t.is(paceOf(5, 64, 2), 20);
	t.is(paceOf(50, 64, 2), 30);
});

/** A machine whose commands run here, with programs in place of systemd's: `failed` gives the failed units of each look, the last of them from then on. */
async function withMachine(failed: readonly string[], use: (wait: (ready: ReadyCondition[], units: string[]) => Promise<void>, seen: {commands: string[]; events: LabEvent[]}) => Promise<void>): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		const commands: string[] = [];
		const events: LabEvent[] = [];
		const program = async (name: string, text: string): Promise<void> => writeFile(path.join(folder, name), `#!/bin/sh\n${text}\n`, {mode: 0o755});
		await program('systemctl', `case $1 in\nis-active) exit 3;;\nshow) echo ActiveState=failed;;\nlist-units) cat '${folder}/failed';;\n*) exit 1;;\nesac`);
		await writeFile(path.join(folder, 'hello.service'), '');
		await writeFile(path.join(folder, 'each@.service'), '');
		await program('journalctl', 'echo "hello.service: Main process exited, code=exited, status=1/FAILURE"');
		let looks = 0;
		const connection = {
			async exec(command: string) {
				commands.push(command);
				await writeFile(path.join(folder, 'failed'), (failed[Math.min(looks, failed.length - 1)] ?? '').split(' ').filter((unit) => unit !== '').map((unit) => `${unit} loaded failed failed What it is\n`).join(''));
				looks += 1;
				const {stdout, stderr, status} = spawnSync('sh', ['-c', command.replaceAll('/usr/lib/systemd/system', folder)], {encoding: 'utf8', cwd: folder, env: {...process.env, PATH: `${folder}:${process.env['PATH']}`}});
				return {stdout, stderr, bytes: Buffer.alloc(0), exitCode: status ?? -1};
			},
			close() {},
		} as Partial<SshConnection> as SshConnection;
		await use(async (ready, units) => awaitReady({
			name: 'node-1', folder, pace: 1, signal: new AbortController().signal,
			events(event) {
				events.push(event);
			},
			connect: async () => connection,
		}, {ready, units}, connection), {commands, events});
	});
}

const started: ReadyCondition = {sentence: 'hello has started on node-1', deadline: '10m', unit: 'hello.service'};
const reached: ReadyCondition = {sentence: 'systemd has reached multi-user.target', deadline: '10m', unit: 'multi-user.target'};

for (const [what, condition, units] of [['that is waited for', started, []], ['of an overlay, while another is waited for,', reached, ['hello.service']]] as const) {
	test(`a unit ${what} ends the wait when it has failed, at the second look`, async (t) => {
		await withMachine(['hello.service'], async (wait, {commands, events}) => {
			const error = await t.throwsAsync(wait([condition], [...units]), {instanceOf: LabError, code: 'unit-failed'});
			t.is(error.message, 'hello.service failed on node-1, and systemd does not start it again');
			t.deepEqual(error.details, [`while it was waited for: ${condition.sentence}`, 'the end of its journal:', 'hello.service: Main process exited, code=exited, status=1/FAILURE']);
			t.is(error.exitCode, 6);
			t.is(commands.length, 3, 'two looks, and one for the journal');
			t.like(events.at(-1), {type: 'wait', reason: 'expired', last: error.message});
		});
	});
}

test('a unit that failed and is started again, or that nobody declares, ends no wait', async (t) => {
	const fourth = {sentence: 'the fourth look', deadline: '10m', command: 'count=$(cat looks 2> /dev/null || echo 0); echo $((count + 1)) > looks; [ $count -ge 3 ]'} as const;
	await withMachine(['hello.service', '', 'hello.service', ''], async (wait, {commands}) => {
		await wait([fourth], ['hello.service']);
		t.is(commands.length, 4);
	});
	await withMachine(['other.service'], async (wait, {commands}) => {
		await wait([fourth], ['hello.service']);
		t.is(commands.length, 4);
	});
});

test('what a look saw is told without the failed units, which it tells too', async (t) => {
	await withMachine(['other.service'], async (wait) => {
		const error = await t.throwsAsync(wait([{...started, deadline: '1s'}], []), {instanceOf: LabError, code: 'machine-not-ready'});
		t.is(error.exitCode, 7);
		t.is(error.details[0], 'last seen: ActiveState=failed hello.service: Main process exited, code=exited, status=1/FAILURE');
	});
});

test('conditions that hold are not looked at further, whatever has failed', async (t) => {
	await withMachine(['hello.service'], async (wait, {commands}) => {
		await wait([{sentence: 's', deadline: '1s', command: 'true'}], ['hello.service']);
		t.is(commands.length, 1);
		await t.throwsAsync(wait([{sentence: 's', deadline: '1s', command: 'echo seen; exit 4'}], []), {message: /did not become ready/});
	});
});

test('a unit that an overlay enables and that is not there is told at the first look, though all conditions hold', async (t) => {
	const holds: ReadyCondition = {...reached, unit: undefined, command: 'true'} as ReadyCondition;
	await withMachine([''], async (wait, {commands}) => {
		const error = await t.throwsAsync(wait([holds], ['hello.service', 'helo.service', 'each@1.service']), {instanceOf: LabError, code: 'unit-missing'});
		t.is(error.message, 'There is no unit helo.service on node-1, and an overlay of the machine enables it');
		t.is(error.exitCode, 3);
		await t.notThrowsAsync(wait([holds, holds], ['hello.service', 'each@1.service']));
		t.deepEqual(commands.map((command) => command.includes('each@')), [true, true, false], 'asked once of each machine');
	});
});
