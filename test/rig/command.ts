/** The real command line, as a child process: what a user would run. */
import {spawn, type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import path from 'node:path';
import {packageFolder} from '../../lab/host/folder.ts';

/** What a command gave. */
export interface CommandOutcome {
	readonly stdout: string;
	readonly stderr: string;
	/** The exit code, or the signal that ended it. */
	readonly code: number | NodeJS.Signals;
}

export interface CommandOptions {
	readonly env?: Readonly<Record<string, string>>;
	readonly cwd?: string;
	/** Milliseconds until it is interrupted, as by Ctrl-C: it then says what it was waiting for, where a test that times out says nothing. Default 40 minutes. */
	readonly longest?: number;
	/** Called with each piece of stderr, and the process: to interrupt it at a moment of the test's choice. */
	readonly onProgress?: (text: string, child: ChildProcess) => void;
}

/** More than any command takes from empty caches, and less than a test that boots machines may take. */
const longestCommand = 40 * 60_000;

/** The compiled command line. */
export const vmlabProgram: string = path.join(packageFolder, '.build/lab/cli/main.js');

/** Runs `vmlab` with these words to its end; never throws because of the exit code. */
export async function vmlab(words: readonly string[], options: CommandOptions = {}): Promise<CommandOutcome> {
	const child = spawn(process.execPath, [vmlabProgram, ...words], {
		cwd: options.cwd ?? packageFolder,
		env: {...process.env, NO_COLOR: '1', CI: 'true', NODE_OPTIONS: '', ...options.env},
		stdio: ['ignore', 'pipe', 'pipe'],
	});
	let stdout = '';
	let stderr = '';
	child.stdout.on('data', (chunk: Buffer) => {
		stdout += chunk.toString();
	});
	child.stderr.on('data', (chunk: Buffer) => {
		stderr += chunk.toString();
		options.onProgress?.(stderr, child);
	});
	const alarm = setTimeout(() => {
		child.kill('SIGINT');
	}, options.longest ?? longestCommand);
	const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
	clearTimeout(alarm);
	return {stdout, stderr, code: code ?? signal ?? 'SIGKILL'};
}

/** The lines of a failed command, for a test's message. */
export function outcomeText(outcome: CommandOutcome): string {
	return `exit ${outcome.code}\n--- stdout\n${outcome.stdout.slice(-4000)}\n--- stderr\n${outcome.stderr.slice(-8000)}`;
}
