/** Commands and shells over one ssh connection. */
import type {Readable, Writable} from 'node:stream';
import {StringDecoder} from 'node:string_decoder';
import type {Client, ClientChannel} from 'ssh2';
import {LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {interruption} from '../host/interruption.ts';
import {untilAborted} from '../host/wait.ts';
import {plainText} from '../host/plain-text.ts';
import type {SshLine} from './ssh-line.ts';

/** How a command on a machine is run. */
export interface ExecOptions {
	readonly input?: string | Uint8Array;
	readonly signal?: AbortSignal | undefined;
	/** Milliseconds. Default: none. */
	readonly timeout?: number;
	/** Told of the output as it comes, without terminal escapes. */
	readonly onOutput?: (text: string, stream: 'stdout' | 'stderr') => void;
	/** Where the very bytes of an output go instead, as fast as they are taken there: nothing of it is kept, or given to `onOutput`. */
	readonly pipe?: {readonly stdout?: Writable | undefined; readonly stderr?: Writable | undefined};
	/** Bytes of both outputs together. Default 64 MiB. */
	readonly limit?: number;
	/** False: the outputs are only told, and neither kept nor limited; for what runs without end. Default true. */
	readonly keep?: boolean;
}

/** What a command on a machine gave that ran to its end. */
export interface ExecResult {
	/** Whole, as UTF-8, without terminal escapes. */
	readonly stdout: string;
	readonly stderr: string;
	/** What came on stdout, untouched. */
	readonly bytes: Buffer;
	/** 128 + N for a command that was ended by signal N, as shells have it. */
	readonly exitCode: number;
	/** The signal that ended it, such as TERM. */
	readonly signal?: string;
}

/** The terminal that a shell is to be had on. */
export interface ShellTerminal {
	readonly input: NodeJS.ReadStream;
	readonly output: NodeJS.WriteStream;
	readonly error?: NodeJS.WritableStream;
	/** The kind of terminal: $TERM. */
	readonly term?: string;
}

/** Bytes. */
const defaultLimit = 64 * 1024 * 1024;

/** Signal numbers of Linux on x86, for exit codes: signal(7). */
const signalNumbers: Readonly<Record<string, number>> = {HUP: 1, INT: 2, QUIT: 3, ILL: 4, ABRT: 6, FPE: 8, KILL: 9, SEGV: 11, PIPE: 13, ALRM: 14, TERM: 15, USR1: 10, USR2: 12};

/** Makes the error for a connection that ended, with the reason that is known best. */
function losses(line: SshLine, machine: string): (reason: string) => LabError {
	return (reason) => {
		const lost = line.lostBecause();
		return failure.sshLost(machine, lost?.cause === undefined ? reason : lost.reason, lost?.cause);
	};
}

/** Opens a channel; an error where the connection has ended, or the machine does not want it. */
async function openChannel(start: (taken: (error: Error | undefined, channel: ClientChannel) => void) => void, lostBy: (reason: string) => Error): Promise<ClientChannel> {
	return new Promise((resolve, reject) => {
		try {
			start((error, channel) => {
				if (error) {
					reject(lostBy(error.message));
				} else {
					resolve(channel);
				}
			});
		} catch (error) {
			// ssh2 throws when the connection has ended before.
			reject(lostBy((error as Error).message));
		}
	});
}

/**
 * Kills the command of a channel, since closing the channel alone leaves it running. ssh2 itself sends no signal once the
 * input has ended, though the protocol allows it (RFC 4254, 6.9), so this goes to the layer below: ssh2 is pinned.
 */
function kill(client: Client, channel: ClientChannel): void {
	const {_protocol: protocol} = client as unknown as {_protocol: {signal(channel: number, name: string): void}};
	const {outgoing} = channel as unknown as {outgoing: {id: number; state: string}};
	if (outgoing.state === 'open' || outgoing.state === 'eof') {
		protocol.signal(outgoing.id, 'KILL');
	}
}

/** Gives an output on, which is not ended by it. Where nobody reads it any more it is dropped: a command that goes on writing would wait for ever. */
function passOn(output: Readable, target: NodeJS.WritableStream): void {
	if ('destroyed' in target && target.destroyed === true) {
		output.resume();
		return;
	}

	const onUnpipe = (source: unknown): void => {
		if (source === output) {
			target.off('unpipe', onUnpipe);
			output.resume();
		}
	};

	target.on('unpipe', onUnpipe);
	output.pipe(target, {end: false});
}

/** What the far side said of a command's end before its channel closed: a code, or the signal that ended it. */
interface CommandEnd {
	readonly code: number | null;
	readonly signal?: string | undefined;
}

/**
 * Calls back when a channel has closed and both its outputs were taken to their ends, without an end of the command where the far side told none.
 * ssh2 says that the channel has closed when one of its outputs has ended, and says of the other by itself. What a command tells in the same
 * packet as its beginning comes before anybody can listen for it (`exit`); ssh2 repeats it when the channel closes.
 */
function onClose(channel: ClientChannel, closed: (end?: CommandEnd) => void): void {
	let end: CommandEnd | undefined;
	let open = 2;
	const close = (): void => {
		open -= 1;
		if (open === 0) {
			closed(end);
		}
	};

	channel.once('close', (code?: number | null, name?: string) => {
		end = code === undefined ? undefined : {code, signal: name?.replace(/^SIG/, '')};
		close();
	});
	channel.stderr.once('close', close);
}

function exitCodeOf({code, signal}: CommandEnd): number {
	return code ?? 128 + (signalNumbers[signal ?? ''] ?? 0);
}

/** A command as messages show it. */
function shownOf(command: string): string {
	return command.length > 200 ? `${command.slice(0, 200)}...` : command;
}

/**
 * Does what a command takes, the wait for a connection and the opening of its channel too, with a signal that aborts when the caller's does, and with `command-timed-out`
 * when its time is over: a guest that hangs answers none of these.
 */
export async function withCommandLimit<Value>(
	machine: string, command: string, {signal, timeout}: Pick<ExecOptions, 'signal' | 'timeout'>, use: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
	const limit = new AbortController();
	const stop = (): void => {
		limit.abort(signal!.reason);
	};
	const alarm = timeout === undefined ? undefined : setTimeout(() => {
		limit.abort(failure.commandTimedOut(machine, shownOf(command), timeout / 1000, []));
	}, timeout);
	signal?.addEventListener('abort', stop, {once: true});
	if (signal?.aborted === true) {
		stop();
	}

	try {
		return await use(limit.signal);
	} finally {
		clearTimeout(alarm);
		signal?.removeEventListener('abort', stop);
	}
}

/**
 * Runs a shell command to its end; an exit code of any value is a result.
 *
 * @param signal as `withCommandLimit` gives it: the time in `options` is only for the message
 * @throws `ssh-lost`, `command-timed-out`, `output-too-long`, `interrupted`
 */
export async function exec(line: SshLine, machine: string, command: string, options: Omit<ExecOptions, 'signal'>, signal: AbortSignal): Promise<ExecResult> {
	const {client} = line;
	const lostBy = losses(line, machine);
	const {input, timeout = 0, onOutput, pipe = {}, limit = defaultLimit, keep = true} = options;
	signal.throwIfAborted();
	// Whoever takes the connection back ends it, and with it a channel that opens after all.
	const channel = await untilAborted(openChannel((taken) => {
		client.exec(command, taken);
	}, lostBy), signal);
	const shown = shownOf(command);
	const outputs = {stdout: [] as Buffer[], stderr: [] as Buffer[]};
	let size = 0;
	return new Promise<ExecResult>((resolve, reject) => {
		const settle = (finish: () => void): void => {
			signal.removeEventListener('abort', abort);
			finish();
		};
		const giveUp = (error: unknown): void => {
			settle(() => {
				reject(error);
			});
			kill(client, channel);
			channel.destroy();
		};
		const last = (): string[] => plainText(Buffer.concat([...outputs.stdout, ...outputs.stderr]).subarray(-4096).toString('utf8')).trim().split('\n').slice(-10);
		const abort = (): void => {
			const reason = interruption(signal);
			giveUp(reason.code === 'command-timed-out' ? failure.commandTimedOut(machine, shown, timeout / 1000, last()) : reason);
		};

		signal.addEventListener('abort', abort, {once: true});
		for (const [name, stream] of [['stdout', channel], ['stderr', channel.stderr]] as const) {
			const target = pipe[name];
			if (target !== undefined) {
				passOn(stream, target);
				continue;
			}

			const decoder = new StringDecoder('utf8');
			stream.on('data', (chunk: Buffer) => {
				if (keep) {
					size += chunk.length;
					if (size > limit) {
						giveUp(failure.outputTooLong(machine, shown, limit));
						return;
					}

					outputs[name].push(chunk);
				}

				onOutput?.(plainText(decoder.write(chunk)), name);
			});
		}

		channel.on('error', () => {});
		onClose(channel, (end) => {
			settle(() => {
				if (end === undefined) {
					reject(lostBy(`it ended while \`${shown}\` ran`));
					return;
				}

				const bytes = Buffer.concat(outputs.stdout);
				resolve({
					stdout: plainText(bytes.toString('utf8')),
					stderr: plainText(Buffer.concat(outputs.stderr).toString('utf8')),
					bytes,
					exitCode: exitCodeOf(end),
					...(end.signal && {signal: end.signal}),
				});
			});
		});
		if (signal.aborted) {
			abort();
			return;
		}

		channel.end(input);
	});
}

/**
 * A shell, or a command, on the user's terminal. Gives its exit code.
 *
 * @throws `ssh-lost`; `interrupted` when the signal aborts
 */
export async function shell(line: SshLine, machine: string, terminal: ShellTerminal, command: string | undefined, signal: AbortSignal | undefined): Promise<number> {
	const {client} = line;
	const lostBy = losses(line, machine);
	const {input, output, error = process.stderr, term = 'xterm-256color'} = terminal;
	const size = (): {rows: number; cols: number} => ({rows: output.rows ?? 24, cols: output.columns ?? 80});
	const pty = input.isTTY && output.isTTY ? {term, height: 0, width: 0, ...size()} : undefined;
	const opening = openChannel((taken) => {
		if (command === undefined) {
			client.shell(pty ?? false, taken);
		} else {
			client.exec(command, pty === undefined ? {} : {pty}, taken);
		}
	}, lostBy);
	const channel = await (signal === undefined ? opening : untilAborted(opening, signal));
	const resize = (): void => {
		const {rows, cols} = size();
		channel.setWindow(rows, cols, 0, 0);
	};

	if (pty !== undefined) {
		input.setRawMode(true);
		output.on('resize', resize);
	}

	let abort = (): void => {};
	try {
		input.pipe(channel);
		passOn(channel, output);
		passOn(channel.stderr, error);
		return await new Promise<number>((resolve, reject) => {
			abort = () => {
				reject(interruption(signal!));
				kill(client, channel);
				channel.destroy();
			};
			signal?.addEventListener('abort', abort, {once: true});
			if (signal?.aborted === true) {
				abort();
			}

			channel.on('error', () => {});
			onClose(channel, (end) => {
				if (end === undefined) {
					reject(lostBy('it ended while the shell was open'));
				} else {
					resolve(exitCodeOf(end));
				}
			});
		});
	} finally {
		signal?.removeEventListener('abort', abort);
		input.unpipe(channel);
		output.off('resize', resize);
		if (pty !== undefined) {
			input.setRawMode(false);
		}

		// A terminal that is still read from would keep the program alive.
		input.pause();
	}
}
