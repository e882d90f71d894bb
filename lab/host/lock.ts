/**
 * Locks between processes: the kernel's own, taken by flock(1), so that they end with their holder however it ends.
 * The holder writes who it is into the lock file, for those who wait.
 */
import {spawn, type ChildProcess} from 'node:child_process';
import {mkdir, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {failure} from './failure.ts';
import {throwIfInterrupted} from './interruption.ts';
import {findProgram} from './program.ts';

/** The exit code by which flock says that somebody else has the lock; all others are failures of its own (sysexits.h). */
const conflict = 75;

/** How a lock is waited for. */
export interface LockOptions {
	readonly signal?: AbortSignal | undefined;
	/** Called once when somebody else has the lock, with who that is: `process 4711`. */
	readonly onWait?: (holder: string) => void;
	/** Gives up at once where somebody else has the lock. Default false: waits. */
	readonly immediate?: boolean;
}

/**
 * Runs `use` while holding the lock of the file, or of a folder that is there. The file is kept: its existence means nothing.
 *
 * @throws `interrupted` when the signal aborts the wait; `locked` with `immediate` when somebody else has it;
 * `program-missing`; `program-failed` with what flock says when there can be no lock
 */
export async function withLock<Value>(file: string, use: () => Promise<Value>, options: LockOptions = {}): Promise<Value> {
	const release = await takeLock(file, options);
	try {
		return await use();
	} finally {
		await release();
	}
}

/**
 * Takes the lock and gives the function that releases it. For holders that live as long as a lab; everything else
 * uses `withLock`.
 */
export async function takeLock(file: string, options: LockOptions = {}): Promise<() => Promise<void>> {
	const {signal, onWait, immediate = false} = options;
	await mkdir(path.dirname(file), {recursive: true});
	const flock = await findProgram('flock');
	if (flock === undefined) {
		throw failure.programMissing('flock', 'Install the Debian package util-linux.');
	}

	let holder = await hold(flock, file, true, signal);
	if (holder === undefined) {
		const who = (await readFile(file, 'utf8').catch(() => '')).trim() || 'another process';
		if (immediate) {
			throw failure.locked(file, who);
		}

		onWait?.(who);
		holder = await hold(flock, file, false, signal);
	}

	if (holder === undefined) {
		// Who waits for as long as it takes is not told of a conflict.
		throw failure.programFailed(`flock ${file}`, `ended with exit code ${conflict}`, []);
	}

	const child = holder;
	// Only a courtesy: on a full disk, and of a folder, the lock is held by somebody unknown.
	await writeFile(file, `process ${process.pid}\n`).catch(() => {});
	return async () => {
		if (child.exitCode !== null || child.signalCode !== null) {
			return;
		}

		await new Promise<void>((resolve) => {
			child.once('close', () => {
				resolve();
			});
			child.stdin?.end();
		});
	};
}

/**
 * A child that has the lock until its stdin closes, which it also does when we die. `cat` is the whole program that runs
 * under the lock; undefined when somebody else has the lock (and we do not wait). Throws when the wait was aborted, and
 * when flock fails.
 */
async function hold(flock: string, file: string, immediate: boolean, signal: AbortSignal | undefined): Promise<ChildProcess | undefined> {
	const child = spawn(flock, [...(immediate ? ['--nonblock', `--conflict-exit-code=${conflict}`] : []), '--no-fork', file, 'sh', '-c', 'echo; exec cat >/dev/null'], {
		stdio: ['pipe', 'pipe', 'pipe'],
		detached: true,
	});
	const abort = (): void => {
		child.kill('SIGKILL');
	};

	let words = '';
	child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
		words += chunk;
	});
	signal?.addEventListener('abort', abort, {once: true});
	if (signal?.aborted) {
		abort();
	}

	// What it came to: undefined when the lock is held.
	const outcome = await new Promise<string | undefined>((resolve) => {
		child.stdout.once('data', () => {
			resolve(undefined);
		});
		child.once('close', (code, killer) => {
			resolve(killer === null ? `ended with exit code ${code}` : `was ended by ${killer}`);
		});
		child.once('error', ({message}) => {
			resolve(`could not be started: ${message}`);
		});
	});
	signal?.removeEventListener('abort', abort);
	if (outcome === undefined) {
		return child;
	}

	throwIfInterrupted(signal);

	if (immediate && child.exitCode === conflict) {
		return undefined;
	}

	throw failure.programFailed(`flock ${file}`, outcome, words.split('\n').filter((line) => line !== ''));
}
