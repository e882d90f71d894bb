/**
 * Talking to a machine over ssh, with the lab's own key and the host key that the lab gave the machine. What comes back is
 * the guest's and may be hostile: it is limited in size, and free of terminal escapes unless asked for as bytes.
 */
import type {Socket} from 'node:net';
import {StringDecoder} from 'node:string_decoder';
import ssh2, {type ClientChannel, type ConnectConfig} from 'ssh2';
import {LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {plainText} from '../host/plain-text.ts';
import {until} from '../host/wait.ts';
import {probeBanner} from './ssh-banner.ts';
import {type CopyOptions, download, upload} from './ssh-copy.ts';

/** To which machine, and as whom. */
export interface ConnectOptions {
	/** On 127.0.0.1. */
	readonly port: number;
	/** The key that the machine must have, as an OpenSSH public line. */
	readonly hostKey: string;
	/** The lab's private key, OpenSSH format. */
	readonly privateKey: string;
	/** The machine's name, for messages. Default `at port N`. */
	readonly machine?: string;
	/** Default root. */
	readonly user?: string;
	/** Milliseconds until the connection must stand. */
	readonly deadline: number;
	/** Aborts with its reason: give it the machine's end as a LabError, and the wait ends with that. */
	readonly signal?: AbortSignal | undefined;
}

/** How a command on a machine is run. */
export interface ExecOptions {
	readonly input?: string | Uint8Array;
	readonly signal?: AbortSignal | undefined;
	/** Milliseconds. Default: none. */
	readonly timeout?: number;
	/** Told of the output as it comes, without terminal escapes. */
	readonly onOutput?: (text: string, stream: 'stdout' | 'stderr') => void;
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

/** A connection to a machine, over which commands run one beside the other. */
export interface SshConnection {
	readonly machine: string;
	/**
	 * Runs a shell command to its end; an exit code of any value is a result.
	 *
	 * @throws `ssh-lost`, `command-timed-out`, `output-too-long`, `interrupted`
	 */
	exec(command: string, options?: ExecOptions): Promise<ExecResult>;
	/**
	 * An interactive shell (or a command) on the user's terminal, which is in raw mode meanwhile. What the guest writes goes
	 * to the terminal as it is. Gives the exit code.
	 */
	shell(terminal: ShellTerminal, command?: string): Promise<number>;
	/** Copies a file or folder to the machine; into `remote` where that is a folder. Gives the number of files. */
	upload(local: string, remote: string, options?: CopyOptions): Promise<number>;
	/** Copies a file or folder from the machine; into `local` where that is a folder. Gives the number of files. */
	download(remote: string, local: string, options?: CopyOptions): Promise<number>;
	/** Resolves when the connection has ended, by either side. */
	readonly closed: Promise<void>;
	close(): void;
}

/** In the order of preference: what is quick in software, since guests under TCG have no other; dropbear has all of these too. */
const algorithms: ConnectConfig['algorithms'] = {
	kex: ['curve25519-sha256', 'curve25519-sha256@libssh.org', 'ecdh-sha2-nistp256'],
	cipher: ['chacha20-poly1305@openssh.com', 'aes128-gcm@openssh.com', 'aes128-ctr'],
	hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-256'],
	compress: ['none'],
};

/** A handshake takes a second under TCG on a busy host; what takes this long (milliseconds) hangs. */
const handshakeTimeout = 60_000;
/** Channels at once on one connection: OpenSSH's server allows ten sessions (MaxSessions). */
const mostChannels = 8;
const defaultLimit = 64 * 1024 * 1024;

/** Signal numbers of Linux on x86, for exit codes: signal(7). */
const signalNumbers: Readonly<Record<string, number>> = {HUP: 1, INT: 2, QUIT: 3, ILL: 4, ABRT: 6, FPE: 8, KILL: 9, SEGV: 11, PIPE: 13, ALRM: 14, TERM: 15, USR1: 10, USR2: 12};

/**
 * Connects, trying until the deadline while the machine boots.
 *
 * @throws `host-key-mismatch` and `ssh-refused` at once; `wait-expired` with what was seen last; the signal's reason
 */
export async function connectSsh(options: ConnectOptions): Promise<SshConnection> {
	const {port, machine = `at port ${port}`, deadline, signal} = options;
	const probes = probeBanner(port, signal);
	try {
		return await until(
			`the machine ${machine} answers over ssh`,
			async () => {
				const socket = await probes.look();
				signal?.throwIfAborted();
				return socket === undefined ? {met: false, seen: probes.seen} : {met: true, value: await handshake(socket, machine, options)};
			},
			// A look takes its time, and ends early when there is something to see.
			{deadline, interval: 10, signal},
		);
	} finally {
		probes.close();
	}
}

async function handshake(socket: Socket, machine: string, options: ConnectOptions): Promise<SshConnection> {
	const wanted = ssh2.utils.parseKey(options.hostKey);
	if (wanted instanceof Error) {
		throw wanted;
	}

	const client = new ssh2.Client();
	let mismatch = false;
	let lost: unknown;
	const abort = (): void => {
		client.destroy();
	};

	options.signal?.addEventListener('abort', abort, {once: true});
	const closed = new Promise<void>((resolve) => {
		client.once('close', () => {
			resolve();
		});
	});
	try {
		await new Promise<void>((resolve, reject) => {
			client.once('ready', resolve);
			client.on('error', (error: Error & {level?: string}) => {
				lost = error;
				if (mismatch) {
					reject(failure.hostKeyMismatch(machine, options.port));
				} else if (error.level === 'client-authentication') {
					reject(failure.sshRefused(machine, error.message));
				} else {
					reject(error);
				}
			});
			client.once('close', () => {
				reject(new Error('the machine ended the connection during the handshake'));
			});
			client.connect({
				sock: socket,
				username: options.user ?? 'root',
				privateKey: options.privateKey,
				authHandler: ['publickey'],
				algorithms: {...algorithms, serverHostKey: [wanted.type]} as ConnectConfig['algorithms'],
				readyTimeout: Math.min(options.deadline, handshakeTimeout),
				// A frozen or starved guest is silent for a while: it is given up only after five minutes.
				keepaliveInterval: 30_000,
				keepaliveCountMax: 10,
				hostVerifier: (key: Buffer) => {
					mismatch = !key.equals(wanted.getPublicSSH());
					return !mismatch;
				},
			} as ConnectConfig);
		});
	} catch (error) {
		client.destroy();
		socket.destroy();
		throw error;
	} finally {
		options.signal?.removeEventListener('abort', abort);
	}

	client.setNoDelay(true);
	const channels = channelGate(mostChannels);
	const lostBy = (reason: string): LabError => failure.sshLost(machine, lost instanceof Error ? lost.message : reason, lost);
	const sftp = async (): Promise<ssh2.SFTPWrapper> => new Promise((resolve, reject) => {
		client.sftp((error, wrapper) => {
			if (error) {
				reject(failure.copyFailed(machine, 'A file', error.message, 'The machine needs an sftp server (Debian package openssh-sftp-server).'));
			} else {
				resolve(wrapper);
			}
		});
	});
	return {
		machine,
		exec: async (command, execOptions = {}) => channels(async () => exec(client, machine, command, execOptions, lostBy)),
		shell: async (terminal, command) => shell(client, terminal, command, lostBy),
		upload: async (local, remote, copyOptions = {}) => channels(async () => upload(await sftp(), machine, local, remote, copyOptions)),
		download: async (remote, local, copyOptions = {}) => channels(async () => download(await sftp(), machine, remote, local, copyOptions)),
		closed,
		close() {
			client.end();
		},
	};
}

/** Lets so many run at once; the others wait in the order they came. */
function channelGate(most: number): <Value>(use: () => Promise<Value>) => Promise<Value> {
	let free = most;
	const waiting: Array<() => void> = [];
	return async (use) => {
		if (free === 0) {
			await new Promise<void>((resolve) => {
				waiting.push(resolve);
			});
		} else {
			free -= 1;
		}

		try {
			return await use();
		} finally {
			const next = waiting.shift();
			if (next === undefined) {
				free += 1;
			} else {
				next();
			}
		}
	};
}

async function openChannel(start: (taken: (error: Error | undefined, channel: ClientChannel) => void) => void, lostBy: (reason: string) => LabError): Promise<ClientChannel> {
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

/** What the far side says of a command's end: a code, or the signal that ended it. */
interface CommandEnd {
	readonly code: number | null;
	readonly signal?: string | undefined;
}

function exitCodeOf({code, signal}: CommandEnd): number {
	return code ?? 128 + (signalNumbers[signal ?? ''] ?? 0);
}

async function exec(client: ssh2.Client, machine: string, command: string, options: ExecOptions, lostBy: (reason: string) => LabError): Promise<ExecResult> {
	const {input, signal, timeout, onOutput, limit = defaultLimit, keep = true} = options;
	signal?.throwIfAborted();
	const channel = await openChannel((taken) => {
		client.exec(command, taken);
	}, lostBy);
	const shown = command.length > 200 ? `${command.slice(0, 200)}...` : command;
	const outputs = {stdout: [] as Buffer[], stderr: [] as Buffer[]};
	let size = 0;
	let end: CommandEnd | undefined;
	return new Promise<ExecResult>((resolve, reject) => {
		const settle = (finish: () => void): void => {
			clearTimeout(alarm);
			signal?.removeEventListener('abort', abort);
			finish();
		};
		const giveUp = (error: unknown): void => {
			settle(() => {
				reject(error);
			});
			// Closing the channel alone leaves the command running.
			channel.signal('KILL');
			channel.destroy();
		};
		const last = (): string[] => plainText(Buffer.concat([...outputs.stdout, ...outputs.stderr]).subarray(-4096).toString('utf8')).trim().split('\n').slice(-10);
		const alarm = timeout === undefined ? undefined : setTimeout(() => {
			giveUp(failure.commandTimedOut(machine, shown, timeout / 1000, last()));
		}, timeout);
		const abort = (): void => {
			const reason: unknown = signal?.reason;
			giveUp(reason instanceof LabError ? reason : failure.interrupted('a request to stop'));
		};

		signal?.addEventListener('abort', abort, {once: true});
		for (const [name, stream] of [['stdout', channel], ['stderr', channel.stderr]] as const) {
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
		channel.on('exit', (code: number | null, name?: string) => {
			end = {code, signal: name?.replace(/^SIG/, '')};
		});
		channel.on('close', () => {
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
		if (signal?.aborted) {
			abort();
			return;
		}

		channel.end(input);
	});
}

async function shell(client: ssh2.Client, terminal: ShellTerminal, command: string | undefined, lostBy: (reason: string) => LabError): Promise<number> {
	const {input, output, error = process.stderr, term = 'xterm-256color'} = terminal;
	const size = (): {rows: number; cols: number} => ({rows: output.rows ?? 24, cols: output.columns ?? 80});
	const pty = input.isTTY && output.isTTY ? {term, height: 0, width: 0, ...size()} : undefined;
	const channel = await openChannel((taken) => {
		if (command === undefined) {
			client.shell(pty ?? false, taken);
		} else {
			client.exec(command, pty === undefined ? {} : {pty}, taken);
		}
	}, lostBy);
	const resize = (): void => {
		const {rows, cols} = size();
		channel.setWindow(rows, cols, 0, 0);
	};

	if (pty !== undefined) {
		input.setRawMode(true);
		output.on('resize', resize);
	}

	try {
		input.pipe(channel);
		channel.pipe(output, {end: false});
		channel.stderr.pipe(error, {end: false});
		return await new Promise<number>((resolve, reject) => {
			let end: CommandEnd | undefined;
			channel.on('exit', (code: number | null, name?: string) => {
				end = {code, signal: name?.replace(/^SIG/, '')};
			});
			channel.on('error', () => {});
			channel.on('close', () => {
				if (end === undefined) {
					reject(lostBy('it ended while the shell was open'));
				} else {
					resolve(exitCodeOf(end));
				}
			});
		});
	} finally {
		input.unpipe(channel);
		output.off('resize', resize);
		if (pty !== undefined) {
			input.setRawMode(false);
		}

		// A terminal that is still read from would keep the program alive.
		input.pause();
	}
}
