/** A small ssh server in this process, in place of a machine's. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import type {AddressInfo, Socket} from 'node:net';
import {createServer} from 'node:net';
import ssh2, {type Connection, type Session} from 'ssh2';
import {generateSshKeys, type SshKeyPair} from '../../lab/machine/keys.ts';
import {serveFiles} from './sftp-server.ts';

export interface TestServer {
	readonly port: number;
	readonly hostKeys: SshKeyPair;
	readonly userKeys: SshKeyPair;
	/** What it was asked for on channels, such as `signal: KILL`: ssh2's server tells nobody else of signals to a running command. */
	readonly requests: readonly string[];
	/** How many connections there are. */
	readonly connections: number;
	/** Ends all connections without a word. */
	cut(): void;
	/** Reads nothing more from any connection, and answers no new one, as a machine that hangs. */
	hang(): void;
	close(): Promise<void>;
}

export interface TestServerOptions {
	/** So many first connections are accepted and never answered. */
	readonly silentFor?: number;
	/** The folder whose files it has; without it there is no sftp. */
	readonly files?: string;
	/** Names that it puts into each listing of a folder. */
	readonly lie?: readonly string[];
	/** Says of each file that it is empty, until it is open. */
	readonly hides?: boolean;
	/** Commands are not run: each ends with this exit code, which arrives together with the news that it began. */
	readonly endAtOnce?: number;
}

/** Runs the commands it is sent with sh; takes the key `userKeys` alone. */
export async function startSshServer(options: TestServerOptions = {}): Promise<TestServer> {
	const hostKeys = await generateSshKeys('host', 'host');
	const userKeys = await generateSshKeys('login', 'user');
	const allowed = ssh2.utils.parseKey(userKeys.publicKey) as ssh2.ParsedKey;
	const sockets = new Set<Socket>();
	const requests: string[] = [];
	const debug = (line: string): void => {
		const request = /Inbound: CHANNEL_REQUEST \(r:\d+, (.*)\)/.exec(line)?.[1];
		if (request !== undefined) {
			requests.push(request);
		}
	};

	const server = new ssh2.Server({hostKeys: [hostKeys.privateKey], debug}, (client: Connection) => {
		client.on('error', () => {});
		client.on('authentication', (context) => {
			if (context.method !== 'publickey' || !context.key.data.equals(allowed.getPublicSSH())) {
				context.reject(['publickey']);
				return;
			}

			if (context.signature === undefined || allowed.verify(context.blob ?? Buffer.alloc(0), context.signature, context.hashAlgo)) {
				context.accept();
			} else {
				context.reject();
			}
		});
		client.on('session', (accept) => {
			const session = accept();
			serve(session, options.endAtOnce);
			const {files} = options;
			if (files !== undefined) {
				session.on('sftp', (acceptFiles) => {
					serveFiles(acceptFiles(), files, options.lie ?? [], options.hides ?? false);
				});
			}
		});
	});
	let silent = options.silentFor ?? 0;
	// The front accepts like QEMU's user network does, and hands over to the ssh server what is to be answered.
	const front = createServer((socket) => {
		sockets.add(socket);
		socket.on('error', () => {});
		socket.on('close', () => {
			sockets.delete(socket);
		});
		if (silent > 0) {
			silent -= 1;
			return;
		}

		if (options.endAtOnce !== undefined) {
			// What is written at the same time goes out as one.
			socket.cork();
			const flush = setInterval(() => {
				socket.uncork();
				socket.cork();
			}, 20).unref();
			socket.on('close', () => {
				clearInterval(flush);
			});
		}

		server.injectSocket(socket);
	});
	front.listen(0, '127.0.0.1');
	await once(front, 'listening');
	const cut = (): void => {
		for (const socket of sockets) {
			socket.destroy();
		}
	};

	return {
		port: (front.address() as AddressInfo).port,
		hostKeys,
		userKeys,
		requests,
		get connections() {
			return sockets.size;
		},
		cut,
		hang() {
			silent = Number.POSITIVE_INFINITY;
			for (const socket of sockets) {
				socket.pause();
			}
		},
		async close() {
			cut();
			front.close();
			await once(front, 'close');
		},
	};
}

function serve(session: Session, endAtOnce?: number): void {
	let size = '';
	session.on('pty', (accept, _reject, {cols, rows}) => {
		size = `${cols}x${rows}`;
		accept?.();
	});
	session.on('window-change', (accept, _reject, {cols, rows}) => {
		size = `${cols}x${rows}`;
		accept?.();
	});
	// A shell of one line: it echoes with the size of the window, and its exit code is what it was sent.
	session.on('shell', (accept) => {
		const channel = accept();
		channel.on('data', (chunk: Buffer) => {
			channel.write(`\u001B[1m${size}\u001B[0m ${chunk.toString()}`);
			channel.exit(Number(chunk.toString()));
			channel.end();
		});
	});
	session.on('exec', (accept, _reject, {command}) => {
		const channel = accept();
		if (endAtOnce !== undefined) {
			channel.stderr.write('at once\n');
			channel.exit(endAtOnce);
			channel.end();
			return;
		}

		const child = spawn('sh', ['-c', command], {stdio: 'pipe'});
		channel.pipe(child.stdin);
		child.stdin.on('error', () => {});
		child.stdout.pipe(channel, {end: false});
		child.stderr.pipe(channel.stderr, {end: false});
		child.on('close', (code, signal) => {
			if (signal === null) {
				channel.exit(code ?? 0);
			} else {
				channel.exit(signal.replace('SIG', ''));
			}

			// ssh2 drops what waits on one output for room in the window when the other ends.
			channel.stderr.end(() => {
				channel.end();
			});
		});
		channel.on('close', () => {
			child.kill('SIGKILL');
			child.stdout.destroy();
			child.stderr.destroy();
		});
	});
}
