/**
 * Programs of this computer. All are started here, so that what holds for one holds for all: its own process group, ended
 * as a whole; dead with us, even after `kill -9`; output kept for the error.
 *
 * `setpriv --pdeathsig` (util-linux, prctl(2) PR_SET_PDEATHSIG) covers the program itself; its children are covered by
 * the process group, which we end, or the guardian when we were killed.
 */
import {constants} from 'node:fs';
import {access} from 'node:fs/promises';
import path from 'node:path';
import {closeSync, createWriteStream, openSync, type WriteStream} from 'node:fs';
import {finished} from 'node:stream/promises';
import {execa, type Options} from 'execa';
import {failure} from './failure.ts';
import {guardGroup, releaseGroup} from './guardian.ts';
import {throwIfInterrupted} from './interruption.ts';

/** How a program is run. */
export interface RunOptions {
	readonly cwd?: string;
	/** Added to our own environment; undefined removes. */
	readonly env?: Readonly<Record<string, string | undefined>>;
	readonly input?: string | Uint8Array;
	/** A file that the whole output is appended to. */
	readonly log?: string;
	readonly signal?: AbortSignal | undefined;
	/** Milliseconds. */
	readonly timeout?: number;
	/** Told of each line of either output, as it comes. */
	readonly onLine?: (line: string) => void;
	/** Exit codes that do not throw. Default [0]. */
	readonly accept?: readonly number[];
}

/** What a program gave that ran to its end. */
export interface RunResult {
	/** Without the last newline. */
	readonly stdout: string;
	readonly stderr: string;
	readonly exitCode: number;
}

/** Output beyond this is cut, in characters; the log has it all. */
const longestOutput = 64 * 1024 * 1024;
/** How long a program may take to end after SIGTERM, in milliseconds. */
const grace = 3000;
/** How many of the last lines an error shows. */
const shownLines = 15;

function searchPath(): string[] {
	const folders = (process.env['PATH'] ?? '').split(':').filter((folder) => folder !== '');
	return [...folders, ...['/usr/local/sbin', '/usr/sbin', '/sbin'].filter((folder) => !folders.includes(folder))];
}

/** The path of a program in PATH or in the system's sbin folders, which an ordinary user's PATH lacks on Debian. */
export async function findProgram(name: string): Promise<string | undefined> {
	if (name.includes('/')) {
		return (await isExecutable(name)) ? name : undefined;
	}

	for (const folder of searchPath()) {
		const candidate = path.join(folder, name);
		if (await isExecutable(candidate)) {
			return candidate;
		}
	}

	return undefined;
}

async function isExecutable(file: string): Promise<boolean> {
	try {
		await access(file, constants.X_OK);
		return true;
	} catch {
		return false;
	}
}

/** Debian packages of programs whose package has another name. */
const packages: Readonly<Record<string, string>> = {
	'qemu-system-x86_64': 'qemu-system-x86',
	'qemu-img': 'qemu-utils',
	'mkfs.erofs': 'erofs-utils',
	mke2fs: 'e2fsprogs',
	setpriv: 'util-linux',
	flock: 'util-linux',
	go: 'golang-go',
	newuidmap: 'uidmap',
};

/** The Debian package that brings a program. */
export function debianPackage(program: string): string {
	return packages[program] ?? program;
}

/** The path of a program that must be there. Throws `program-missing`, which says how to get it. */
export async function locate(program: string): Promise<string> {
	const file = await findProgram(program);
	if (file === undefined) {
		throw failure.programMissing(program, `Install it (Debian package ${debianPackage(program)}), or run \`vmlab doctor --fix\`.`);
	}

	return file;
}

function environmentWith(changes: RunOptions['env']): Record<string, string> {
	const environment: Record<string, string | undefined> = {...process.env, PATH: searchPath().join(':'), LC_ALL: 'C.UTF-8', ...changes};
	return Object.fromEntries(Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** Ends a whole process group; one that is gone already is fine. */
function signalGroup(pid: number, signal: NodeJS.Signals): void {
	try {
		process.kill(-pid, signal);
	} catch (error) {
		// EPERM: all of it runs as another user (sudo), which passes the terminal's signals on by itself.
		if (!['ESRCH', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) {
			throw error;
		}
	}
}

/** Groups of programs that run now: ended when this process exits in any way that lets it do something. */
const groups = new Set<number>();
process.on('exit', () => {
	for (const pid of groups) {
		signalGroup(pid, 'SIGKILL');
	}
});

/**
 * Runs a program to its end.
 *
 * @throws `program-missing`, `program-failed` (with the last lines of its output), `interrupted` when the signal aborts,
 * `disk-full` when the program says so
 */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
	const {cwd, env, input, log, signal, timeout, onLine, accept = [0]} = options;
	throwIfInterrupted(signal);
	const [setpriv, file] = await Promise.all([locate('setpriv'), locate(program)]);
	// An abort during the search has nobody yet who would hear it.
	throwIfInterrupted(signal);
	const shown = [program, ...args].join(' ');
	const command = shown.length > 300 ? `${shown.slice(0, 300)}...` : shown;

	let logStream: WriteStream | undefined;
	if (log !== undefined) {
		logStream = createWriteStream(log, {flags: 'a'});
		// A log that cannot be written (a full disk) is no reason to fail here: whatever the program does will show it.
		logStream.on('error', () => {});
		logStream.write(`$ ${shown}\n`);
	}

	const child = execa(setpriv, ['--pdeathsig', 'KILL', '--', file, ...args], {
		detached: true,
		cleanup: false,
		reject: false,
		extendEnv: false,
		env: environmentWith(env),
		maxBuffer: longestOutput,
		...(cwd === undefined ? {} : {cwd}),
		...(input === undefined ? {stdin: 'ignore'} : {input}),
	} as Options);
	const {pid} = child;
	if (pid !== undefined) {
		groups.add(pid);
		guardGroup(pid);
	}

	let killer: NodeJS.Timeout | undefined;
	let timedOut = false;
	const end = (): void => {
		if (pid !== undefined && killer === undefined) {
			signalGroup(pid, 'SIGTERM');
			killer = setTimeout(() => {
				signalGroup(pid, 'SIGKILL');
			}, grace);
		}
	};

	const alarm = timeout === undefined ? undefined : setTimeout(() => {
		timedOut = true;
		end();
	}, timeout);
	signal?.addEventListener('abort', end, {once: true});
	for (const stream of [child.stdout, child.stderr]) {
		if (logStream !== undefined) {
			stream?.pipe(logStream, {end: false});
		}

		if (onLine !== undefined) {
			watchLines(stream ?? undefined, onLine);
		}
	}

	const result = await child;
	clearTimeout(alarm);
	clearTimeout(killer);
	signal?.removeEventListener('abort', end);
	if (pid !== undefined) {
		// The program has ended; what it left in its group has no business to go on.
		signalGroup(pid, 'SIGKILL');
		groups.delete(pid);
		releaseGroup(pid);
	}

	if (logStream !== undefined) {
		logStream.end();
		await finished(logStream).catch(() => {});
	}

	throwIfInterrupted(signal);
	const stdout = text(result.stdout);
	const stderr = text(result.stderr);
	const output = lastLines(`${stdout}\n${stderr}`);
	if (timedOut) {
		throw failure.programFailed(command, `did not end within ${Math.round((timeout ?? 0) / 1000)} s`, output, log);
	}

	if (result.exitCode === undefined) {
		throw failure.programFailed(command, result.signal === undefined ? `could not be started: ${result.originalMessage ?? result.code ?? ''}` : `was ended by ${result.signal}`, output, log);
	}

	if (!accept.includes(result.exitCode)) {
		if (/no space left on device/i.test(stderr)) {
			throw failure.diskFull(cwd ?? log ?? process.cwd(), failure.programFailed(command, `ended with exit code ${result.exitCode}`, output, log));
		}

		throw failure.programFailed(command, `ended with exit code ${result.exitCode}`, output, log);
	}

	return {stdout, stderr, exitCode: result.exitCode};
}

/** How a program ended: an exit code, or a signal. */
export interface ProgramEnd {
	readonly code: number | null;
	readonly signal: string | null;
}

/** A program that outlives us. */
export interface Detached {
	readonly pid: number;
	/** Resolves when it has ended, however it ended; never rejects. Waiting for it alone does not keep us alive. */
	readonly ended: Promise<ProgramEnd>;
}

/** A program that runs beside us. */
export interface Daemon {
	readonly pid: number;
	/** Resolves when it has ended, however it ended; never rejects. */
	readonly ended: Promise<ProgramEnd>;
	/** Signals the program's whole group. */
	kill(signal: NodeJS.Signals): void;
}

/** Starts a file in a session of its own, with both outputs to the log; `program` is its name for people. */
async function startBeside(file: string, args: readonly string[], options: {cwd: string; log: string; program: string}) {
	const log = openSync(options.log, 'a', 0o600);
	const child = execa(file, args, {
		detached: true,
		cleanup: false,
		reject: false,
		buffer: false,
		extendEnv: false,
		env: environmentWith(undefined),
		cwd: options.cwd,
		stdin: 'ignore',
		// A descriptor of its own: nothing of the output passes through us, so that it goes on without us.
		stdout: log,
		stderr: log,
	} as Options);
	closeSync(log);
	const {pid} = child;
	const ended = child.then((result): ProgramEnd => ({code: result.exitCode ?? null, signal: result.signal ?? null}));
	if (pid === undefined) {
		const result = await child;
		throw failure.programFailed(options.program, `could not be started: ${result.originalMessage ?? result.code ?? ''}`, [], options.log);
	}

	return {child, pid, ended};
}

/**
 * Starts a program that goes on running until it is ended, or until we end: the kernel kills it with us.
 * Both outputs go to the log file.
 *
 * @throws `program-missing`, `program-failed` when it cannot be started
 */
export async function spawnDaemon(program: string, args: readonly string[], options: {cwd: string; log: string}): Promise<Daemon> {
	const [setpriv, file] = await Promise.all([locate('setpriv'), locate(program)]);
	const {pid, ended: childEnded} = await startBeside(setpriv, ['--pdeathsig', 'KILL', '--', file, ...args], {...options, program});
	groups.add(pid);
	guardGroup(pid);
	const ended = childEnded.then((end) => {
		groups.delete(pid);
		releaseGroup(pid);
		return end;
	});
	return {
		pid,
		ended,
		kill(signal) {
			if (groups.has(pid)) {
				signalGroup(pid, signal);
			}
		},
	};
}

/** Starts a program that outlives us, in a session of its own, with both outputs to the log file. */
export async function spawnDetached(program: string, args: readonly string[], options: {cwd: string; log: string}): Promise<Detached> {
	const {child, pid, ended} = await startBeside(await locate(program), args, {...options, program});
	child.unref();
	return {pid, ended};
}

/** Where a program that talks to the person writes to, and what it is told. */
export interface AttachedOptions {
	/** Added to our own environment. */
	readonly env?: Readonly<Record<string, string>>;
	readonly signal?: AbortSignal | undefined;
	/** Which of our own outputs its stdout is. Default stdout. */
	readonly stdout?: 'stdout' | 'stderr';
}

/**
 * Runs a program that talks to the person: it has our terminal, and is in our process group.
 *
 * @returns its exit code
 * @throws `program-missing`, `program-failed` when it is ended by a signal, `interrupted`
 */
export async function runAttached(program: string, args: readonly string[], options: AttachedOptions = {}): Promise<number> {
	const {env, signal, stdout = 'stdout'} = options;
	throwIfInterrupted(signal);
	const file = await locate(program);
	const result = await execa(file, args, {
		reject: false,
		buffer: false,
		extendEnv: false,
		env: environmentWith(env),
		stdin: 'inherit',
		stdout: process[stdout],
		stderr: 'inherit',
		...(signal === undefined ? {} : {cancelSignal: signal}),
	} as Options);
	throwIfInterrupted(signal);
	if (result.exitCode === undefined) {
		throw failure.programFailed([program, ...args].join(' '), result.signal === undefined ? 'could not be started' : `was ended by ${result.signal}`, []);
	}

	return result.exitCode;
}

function text(value: unknown): string {
	return typeof value === 'string' ? value : '';
}

function lastLines(output: string): string[] {
	return output.split('\n').map((line) => line.trimEnd()).filter((line) => line !== '').slice(-shownLines);
}

function watchLines(stream: NodeJS.ReadableStream | undefined, onLine: (line: string) => void): void {
	let rest = '';
	stream?.on('data', (chunk: Buffer | string) => {
		const lines = (rest + chunk.toString()).split('\n');
		rest = lines.pop() ?? '';
		for (const line of lines) {
			onLine(line);
		}
	});
	stream?.on('end', () => {
		if (rest !== '') {
			onLine(rest);
		}
	});
}
