/** One connection to a machine's ssh server: found, checked against the pinned host key, and logged in to. */
import type {Socket} from 'node:net';
import ssh2, {type ConnectConfig} from 'ssh2';
import {failure} from '../host/failure.ts';
import {until} from '../host/wait.ts';
import {probeBanner} from './ssh-banner.ts';

/** Whom to connect to, as whom, and how long to try. */
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

/** A connection that is logged in. */
export interface SshLine {
	readonly client: ssh2.Client;
	/** Why it ended, when it has; the text alone is for people. */
	lostBecause(): {reason: string; cause?: unknown} | undefined;
	/** Ends it at once, without the other side. `client.destroy()` does nothing once `client.end()` was called. */
	cut(): void;
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

/** How the machine is called in messages. */
export function machineName({machine, port}: Pick<ConnectOptions, 'machine' | 'port'>): string {
	return machine ?? `at port ${port}`;
}

/**
 * Connects, trying until the deadline while the machine boots.
 *
 * @throws `host-key-mismatch` and `ssh-refused` at once; `wait-expired` with what was seen last; the signal's reason
 */
export async function openLine(options: ConnectOptions): Promise<SshLine> {
	const {port, deadline, signal} = options;
	const probes = probeBanner(port, signal);
	try {
		return await until(
			`the machine ${machineName(options)} answers over ssh`,
			async () => {
				const socket = await probes.look();
				signal?.throwIfAborted();
				return socket === undefined ? {met: false, seen: probes.seen} : {met: true, value: await handshake(socket, options)};
			},
			// A look takes its time, and ends early when there is something to see.
			{deadline, interval: 10, signal},
		);
	} finally {
		probes.close();
	}
}

async function handshake(socket: Socket, options: ConnectOptions): Promise<SshLine> {
	const wanted = ssh2.utils.parseKey(options.hostKey);
	if (wanted instanceof Error) {
		throw wanted;
	}

	const machine = machineName(options);
	const client = new ssh2.Client();
	let mismatch = false;
	let lost: {reason: string; cause?: unknown} | undefined;
	const abort = (): void => {
		client.destroy();
	};

	options.signal?.addEventListener('abort', abort, {once: true});
	try {
		await new Promise<void>((resolve, reject) => {
			client.once('ready', resolve);
			client.on('error', (error: Error & {level?: string}) => {
				lost ??= {reason: error.message, cause: error};
				if (mismatch) {
					reject(failure.hostKeyMismatch(machine, options.port));
				} else if (error.level === 'client-authentication') {
					reject(failure.sshRefused(machine, error.message));
				} else {
					reject(error);
				}
			});
			client.once('close', () => {
				lost ??= {reason: 'the machine ended it'};
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
	return {
		client,
		lostBecause: () => lost,
		cut() {
			socket.destroy();
		},
	};
}
