/** Ctrl-C, SIGTERM and readers that leave, with a build that would take for ever. */
import {execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync} from 'node:fs';
import {readdir} from 'node:fs/promises';
import path from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {promisify} from 'node:util';
import test, {type ExecutionContext} from 'ava';
import {abortOnSignals} from '../../lab/cli/interruption.ts';
import type {LabError} from '../../lab/host/error.ts';
import {until} from '../../lab/host/wait.ts';
import {vmlab, vmlabProgram} from '../rig/command.ts';
import {imageFiles, withProject, type Project, type ProjectFiles} from '../rig/project.ts';

const execute = promisify(execFile);

/**
 * A project whose image never gets done: the builder that PATH finds only waits.
 *
 * @param stubborn it also ignores requests to end
 */
function slowProject(seconds: number, stubborn = false): ProjectFiles {
	return {
		...imageFiles,
		'overlays/small/overlay.ts': 'import {defineOverlay} from \'vmlab\';\nexport default defineOverlay({summary: \'small\'});\n',
		'scripts/small.ts': `import {defineScenario} from 'vmlab';
export default defineScenario({summary: 'small', lab: {machines: {node: {count: 1}}, overlays: ['small']}, budget: '1m', async steps() {}});
`,
		'bin/mmdebstrap': {text: `#!/bin/sh\n[ "$1" = --unshare-helper ] && exit 0\n: > "$SLOW_MARK"\n[ "$1" = --version ] && exit 0\n${stubborn ? 'trap "" TERM INT HUP\n' : ''}sleep ${seconds} &\nwait\n`, mode: 0o755},
	};
}

interface SlowBuild {
	readonly child: ReturnType<typeof spawn>;
	readonly ended: Promise<number | NodeJS.Signals>;
	stderr(): string;
}

/** Starts `vmlab build` and returns when the builder runs. */
async function startSlowBuild({folder}: Project): Promise<SlowBuild> {
	const mark = path.join(folder, 'builder-runs');
	const child = spawn(process.execPath, [vmlabProgram, 'build', 'small'], {
		cwd: folder,
		env: {
			...process.env, CI: 'true', NO_COLOR: '1', NODE_OPTIONS: '', VMLAB_PROJECT: folder, VMLAB_CACHE_DIR: path.join(folder, 'cache'), SLOW_MARK: mark,
			PATH: `${path.join(folder, 'bin')}:${process.env['PATH'] ?? ''}`,
		},
		stdio: ['ignore', 'ignore', 'pipe'],
	});
	let stderr = '';
	child.stderr.on('data', (chunk: Buffer) => {
		stderr += chunk.toString();
	});
	const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
	await until('the builder runs', async () => {
		if (child.exitCode !== null) {
			throw new Error(`it ended: ${stderr}`);
		}

		return existsSync(mark) ? {met: true, value: undefined} : {met: false, seen: stderr};
	}, {deadline: 120_000, interval: 50});
	return {child, ended, stderr: () => stderr};
}

async function untilBuilderIsGone(seconds: number): Promise<void> {
	await until('no process of the build is left', async () => {
		const {stdout} = await execute('pgrep', ['-f', `sleep ${seconds}`]).catch(() => ({stdout: ''}));
		return stdout === '' ? {met: true, value: undefined} : {met: false, seen: stdout};
	}, {deadline: 30_000, interval: 50});
}

/** The exit code of flock(1) for each lock of a project's store: 1 where somebody has it. */
async function tryLocks({folder}: Project): Promise<number[]> {
	const locks = path.join(folder, 'cache/locks');
	return Promise.all((await readdir(locks)).map(async (name) =>
		execute('flock', ['--nonblock', path.join(locks, name), 'true']).then(() => 0, ({code}: {code: number}) => code)));
}

async function assertNothingRemains(t: ExecutionContext, project: Project, seconds: number): Promise<void> {
	await untilBuilderIsGone(seconds);
	t.deepEqual(await readdir(path.join(project.folder, 'cache/scratch')), [], 'no scratch is left');
	const locks = await tryLocks(project);
	t.true(locks.length > 0);
	t.deepEqual(locks.filter((code) => code !== 0), [], 'no lock is held');
}

for (const [index, name] of (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).entries()) {
	test(`${name} ends a build in good order, with exit code 130`, async (t) => {
		const seconds = 8810 + index;
		await withProject(slowProject(seconds), async (project) => {
			const build = await startSlowBuild(project);
			t.true((await tryLocks(project)).includes(1), 'the image is locked while it is made');
			build.child.kill(name);
			t.is(await build.ended, 130, build.stderr());
			t.regex(build.stderr(), new RegExp(`Interrupted by ${name}`));
			await assertNothingRemains(t, project, seconds);
		});
	});
}

test('a second Ctrl-C ends it at once', async (t) => {
	await withProject(slowProject(8820, true), async (project) => {
		const build = await startSlowBuild(project);
		build.child.kill('SIGINT');
		await until('the first one was taken', async () => (build.stderr().includes('Once more ends it') ? {met: true, value: undefined} : {met: false, seen: build.stderr()}), {deadline: 30_000, interval: 20});
		// Sooner it would be the same one.
		await sleep(600);
		t.is(build.child.exitCode, null, 'it waits for the builder');
		build.child.kill('SIGINT');
		t.is(await build.ended, 130, build.stderr());
		// When the builder's three seconds are over, what runs ends in good order: it says so, and clears its scratch.
		t.notRegex(build.stderr(), /Interrupted by/);
		t.not((await readdir(path.join(project.folder, 'cache/scratch'))).length, 0);
		await untilBuilderIsGone(8820);
	});
});

test.serial('a Ctrl-C that arrives twice, from the terminal and from a parent that passes it on, is one', (t) => {
	const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
	const before = names.map((name) => process.listeners(name));
	const {exit} = process;
	const exits: unknown[] = [];
	let now = 1000;
	process.exit = ((code: unknown) => {
		exits.push(code);
	}) as typeof process.exit;
	performance.now = () => now;
	try {
		const signal = abortOnSignals();
		process.emit('SIGINT');
		t.is((signal.reason as LabError).code, 'interrupted');
		now += 15;
		process.emit('SIGINT');
		t.deepEqual(exits, []);
		process.emit('SIGTERM');
		t.deepEqual(exits, [130], 'another signal is another request');
		now += 500;
		process.emit('SIGINT');
		t.deepEqual(exits, [130, 130], 'and so is the same one later');
	} finally {
		process.exit = exit;
		// Our own: the prototype's is there again.
		delete (performance as {now?: unknown}).now;
		for (const [index, name] of names.entries()) {
			for (const listener of process.listeners(name).filter((each) => !before[index]!.includes(each))) {
				process.removeListener(name, listener);
			}
		}
	}
});

test('after kill -9 nothing runs on, and the next command clears what is left', async (t) => {
	await withProject(slowProject(8830), async (project) => {
		const build = await startSlowBuild(project);
		build.child.kill('SIGKILL');
		t.is(await build.ended, 'SIGKILL');
		await until('the builder is gone', async () => {
			const {stdout} = await execute('pgrep', ['-f', path.join(project.folder, 'bin/mmdebstrap')]).catch(() => ({stdout: ''}));
			return stdout === '' ? {met: true, value: undefined} : {met: false, seen: stdout};
		}, {deadline: 5000, interval: 50});
		const pruned = await vmlab(['cache', 'prune'], {env: {VMLAB_CACHE_DIR: path.join(project.folder, 'cache')}});
		t.is(pruned.code, 0, pruned.stderr);
		t.deepEqual(await readdir(path.join(project.folder, 'cache/scratch')), []);
	});
});

test('a reader that leaves is no error', async (t) => {
	const {stdout, stderr} = await execute('bash', ['-c', '"$0" "$1" overlay list -o json | head -c 1; echo " ${PIPESTATUS[0]}"', process.execPath, vmlabProgram]);
	t.regex(stdout, /^\[ (0|130)\n$/);
	t.false(stderr.includes('EPIPE'), stderr);
	t.false(stderr.includes('bug'), stderr);
});
