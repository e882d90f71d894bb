/**
 * Talking to a machine over ssh, with the lab's own key and the host key that the lab gave the machine. What comes back is
 * the guest's and may be hostile: it is limited in size, and free of terminal escapes unless asked for as bytes.
 */
import type {SFTPWrapper} from 'ssh2';
import {failure} from '../host/failure.ts';
import {untilAborted} from '../host/wait.ts';
import {exec, type ExecOptions, type ExecResult, shell, type ShellTerminal, withCommandLimit} from './ssh-command.ts';
import {type CopyOptions, download, upload} from './ssh-copy.ts';
import {type ConnectOptions, machineName, type SshLine} from './ssh-line.ts';
import {openLines} from './ssh-lines.ts';

export type {CopyOptions} from './ssh-copy.ts';
export type {ExecOptions, ExecResult, ShellTerminal} from './ssh-command.ts';
export type {ConnectOptions} from './ssh-line.ts';

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
	 * to the terminal as it is. Gives the exit code. Ends when the signal aborts (`interrupted`).
	 */
	shell(terminal: ShellTerminal, command?: string, signal?: AbortSignal): Promise<number>;
	/** Copies a file or folder to the machine; into `remote` where that is a folder. Gives the number of files. */
	upload(local: string, remote: string, options?: CopyOptions): Promise<number>;
	/** Copies a file or folder from the machine; into `local` where that is a folder. Gives the number of files. */
	download(remote: string, local: string, options?: CopyOptions): Promise<number>;
	/** Resolves when the connection has ended, by either side. */
	readonly closed: Promise<void>;
	close(): void;
}

/**
 * Connects, trying until the deadline while the machine boots. What runs at the same time as something else gets a TCP
 * connection of its own, so it never waits for that.
 *
 * @throws `host-key-mismatch` and `ssh-refused` at once; `wait-expired` with what was seen last; the signal's reason
 */
export async function connectSsh(options: ConnectOptions): Promise<SshConnection> {
	const machine = machineName(options);
	const lines = await openLines(options);
	return {
		machine,
		exec: async (command, execOptions = {}) => withCommandLimit(
			machine, command, execOptions, async (signal) => lines.use(async (line) => exec(line, machine, command, execOptions, signal), signal),
		),
		shell: async (terminal, command, signal) => lines.use(async (line) => shell(line, machine, terminal, command, signal), signal),
		upload: async (local, remote, copyOptions = {}) => lines.useOnce(
			async (line) => upload(await startSftp(line, machine, copyOptions.signal), machine, local, remote, copyOptions), copyOptions.signal,
		),
		download: async (remote, local, copyOptions = {}) => lines.useOnce(
			async (line) => download(await startSftp(line, machine, copyOptions.signal), machine, remote, local, copyOptions), copyOptions.signal,
		),
		closed: lines.closed,
		close() {
			lines.close();
		},
	};
}

async function startSftp({client}: SshLine, machine: string, signal: AbortSignal | undefined): Promise<SFTPWrapper> {
	const starting = new Promise<SFTPWrapper>((resolve, reject) => {
		client.sftp((error, wrapper) => {
			if (error) {
				reject(failure.copyFailed(machine, 'A file', error.message, 'The machine needs an sftp server (Debian package openssh-sftp-server).'));
			} else {
				resolve(wrapper);
			}
		});
	});
	return signal === undefined ? starting : untilAborted(starting, signal);
}
