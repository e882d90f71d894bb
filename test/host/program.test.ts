import {execFile} from 'node:child_process';
import {existsSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import {promisify} from 'node:util';
import test from 'ava';
import {failure} from '../../lab/host/failure.ts';
import {findProgram, run, spawnDaemon} from '../../lab/host/program.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {until} from '../../lab/host/wait.ts';

const execute = promisify(execFile);

/** Waits for processes whose command line matches to be gone. */
async function gone(pattern: string): Promise<void> {
	await until(`no process has \`${pattern}\``, async () => {
		const {stdout} = await execute('pgrep', ['-f', pattern]).catch(() => ({stdout: ''}));
		return stdout.trim() === '' ? {met: true, value: undefined} : {met: false, seen: stdout.trim()};
	}, {deadline: 5000, interval: 50});
}

test('a program gives its outputs and its exit code', async (t) => {
	const result = await run('sh', ['-c', 'cat; echo two >&2; exit 3'], {input: 'one', accept: [0, 3]});
	t.deepEqual(result, {stdout: 'one', stderr: 'two', exitCode: 3});
});

test('a program that fails says what it was, how it ended and its last lines', async (t) => {
	const error = await t.throwsAsync(run('sh', ['-c', 'for i in $(seq 40); do echo line $i; done; exit 7']), {code: 'program-failed'});
	t.regex(error!.message, /exit code 7/);
	t.like(error, {kind: 'host'});
	const {details} = error as unknown as {details: string[]};
	t.is(details.at(-1), 'line 40');
	t.is(details.length, 15);
});

test('a missing program is named, with the package that has it', async (t) => {
	const error = await t.throwsAsync(run('mkfs.no-such-filesystem', []), {code: 'program-missing'});
	t.like(error, {kind: 'host', exitCode: 4});
});

test('programs in sbin folders are found without them in PATH', async (t) => {
	t.truthy(await findProgram('sh'));
	t.is(await findProgram('no-such-program-at-all'), undefined);
	t.is(await findProgram('/bin/sh'), '/bin/sh');
});

test('an abort ends the whole group, and is told with its reason', async (t) => {
	const controller = new AbortController();
	await withTemporaryFolder(async (folder) => {
		const running = run('sh', ['-c', 'sleep 7771 & touch started; wait'], {cwd: folder, signal: controller.signal});
		await until('it has started', async () => (existsSync(path.join(folder, 'started')) ? {met: true, value: undefined} : {met: false, seen: 'no file'}), {deadline: 5000, interval: 20});
		controller.abort(failure.interrupted('SIGINT'));
		const error = await t.throwsAsync(running, {code: 'interrupted'});
		t.regex(error!.message, /SIGINT/);
	});
	await gone('sleep 7771');
});

test('an aborted signal starts nothing', async (t) => {
	await t.throwsAsync(run('sh', ['-c', 'exit 0'], {signal: AbortSignal.abort(failure.interrupted('SIGTERM'))}), {code: 'interrupted'});
});

test('a program that takes too long is ended', async (t) => {
	const error = await t.throwsAsync(run('sh', ['-c', 'echo waiting; sleep 7772'], {timeout: 300}), {code: 'program-failed'});
	t.regex(error!.message, /did not end within/);
	await gone('sleep 7772');
});

test('what a program leaves behind in its group is ended with it', async (t) => {
	await run('sh', ['-c', 'sleep 7773 >/dev/null 2>&1 &']);
	await gone('sleep 7773');
	t.pass();
});

test('a full disk is told as one', async (t) => {
	const error = await t.throwsAsync(run('sh', ['-c', 'echo "dd: writing: No space left on device" >&2; exit 1']), {code: 'disk-full'});
	t.like(error, {kind: 'host'});
});

test('lines are told as they come, and the log has all of them', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const log = path.join(folder, 'log');
		const lines: string[] = [];
		await run('printf', ['a\\nb\\nc'], {log, onLine: (line) => lines.push(line)});
		t.deepEqual(lines, ['a', 'b', 'c']);
		t.is(await readFile(log, 'utf8'), '$ printf a\\nb\\nc\na\nb\nc');
	});
});

test('secrets of the environment can be taken away', async (t) => {
	const {stdout} = await run('sh', ['-c', 'echo "$GIVEN-$HOME"'], {env: {GIVEN: 'yes', HOME: undefined}});
	t.is(stdout, 'yes-');
});

test('a daemon ends when it is told to, and says how', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const log = path.join(folder, 'log');
		const daemon = await spawnDaemon('sh', ['-c', 'echo hello; exec sleep 7774'], {cwd: folder, log});
		await until('it has written', async () => {
			const text = await readFile(log, 'utf8');
			return text === '' ? {met: false, seen: 'nothing'} : {met: true, value: text};
		}, {deadline: 5000, interval: 20});
		daemon.kill('SIGKILL');
		t.deepEqual(await daemon.ended, {code: null, signal: 'SIGKILL'});
	});
	await gone('sleep 7774');
});

test('programs die with the process that started them, even when it is killed', async (t) => {
	const program = path.join(import.meta.dirname, '../../lab/host/program.ts');
	const code = `import {run} from ${JSON.stringify(program)}; await run('sleep', ['7775']);`;
	const starter = execFile(process.execPath, ['--import=tsx', '--input-type=module', '-e', code]);
	await until('the program runs', async () => {
		const {stdout} = await execute('pgrep', ['-x', '-f', '^(/usr/bin/|/bin/)?sleep 7775$']).catch(() => ({stdout: ''}));
		return stdout === '' ? {met: false, seen: 'no process'} : {met: true, value: undefined};
	}, {deadline: 15_000, interval: 50});
	starter.kill('SIGKILL');
	await gone('sleep 7775');
	t.pass();
});

test('children of a program end too when we are killed', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const source = `import {run} from '${path.resolve(import.meta.dirname, '../../lab/host/program.ts')}'; await run('true', []); await run('sh', ['-c', 'sleep 4711.5 & echo x > ${folder}/started; sleep 4711.6; wait']);`;
		const child = execFile(process.execPath, ['--import=tsx', '--input-type=module', '--eval', source]);
		await until('the program has started', async () => (existsSync(path.join(folder, 'started')) ? {met: true, value: undefined} : {met: false, seen: 'it has not'}), {deadline: 20_000, interval: 100});
		child.kill('SIGKILL');
		await gone('^sleep 4711[.]');
		t.pass();
	});
});
