/**
 * Finding out, while a guest still boots, when its ssh server answers.
 *
 * QEMU's user network accepts a connection to a forwarded port at once, whether or not the guest listens, and its own TCP
 * towards a guest whose NIC is not up yet is slow to try again. So one connection that hangs says nothing: new ones are
 * opened beside it, and the first over which the server's greeting comes is the one that is used.
 */
import {createConnection, type Socket} from 'node:net';

/** Connections that are open at once; the oldest is given up for a new one. */
const mostProbes = 8;
/** Milliseconds between two new connections: at first, and at most. */
const firstPause = 250;
const longestPause = 2000;

/** Connections to a port of 127.0.0.1, until one answers. */
export interface BannerProbes {
	/** Opens one more connection and gives the one that answers meanwhile, its greeting still to be read; undefined after a pause. */
	look(): Promise<Socket | undefined>;
	/** What became of the last connection. */
	readonly seen: string;
	/** Ends all connections but those that were given. */
	close(): void;
}

/** Begins to look for an ssh server that answers on the port; an aborted signal ends a look at once. */
export function probeBanner(port: number, signal: AbortSignal | undefined): BannerProbes {
	const probes = new Set<Socket>();
	let seen = 'nothing yet';
	let pause = firstPause;
	let wake: (answered?: Socket) => void = () => {};

	const open = (): void => {
		const socket = createConnection({host: '127.0.0.1', port, noDelay: true});
		let connected = false;
		socket.on('connect', () => {
			connected = true;
			seen = 'the connection is accepted, and the machine is silent';
		});
		socket.on('error', (error: NodeJS.ErrnoException) => {
			seen = connected ? `the connection ended: ${error.code ?? error.message}` : `no connection: ${error.code ?? error.message}`;
		});
		socket.on('close', () => {
			if (probes.delete(socket) && connected) {
				seen = 'the connection is accepted and ended at once';
			}
		});
		// 'readable' leaves the bytes where they are, for the one who goes on with the connection.
		socket.once('readable', () => {
			if (socket.readableLength > 0) {
				wake(socket);
			}
		});
		probes.add(socket);
		const [oldest] = probes;
		if (probes.size > mostProbes && oldest !== undefined) {
			probes.delete(oldest);
			oldest.destroy();
		}
	};

	return {
		async look() {
			// One that answered between two looks.
			let answered = [...probes].find((socket) => socket.readableLength > 0);
			if (answered === undefined) {
				open();
				answered = await new Promise<Socket | undefined>((resolve) => {
					const alarm = setTimeout(() => {
						wake();
					}, pause);
					wake = (socket) => {
						clearTimeout(alarm);
						signal?.removeEventListener('abort', stop);
						resolve(socket);
					};
					const stop = (): void => {
						wake();
					};

					signal?.addEventListener('abort', stop, {once: true});
				});
				pause = Math.min(pause * 1.2, longestPause);
			}

			if (answered !== undefined) {
				probes.delete(answered);
				answered.removeAllListeners('connect').removeAllListeners('close');
			}

			return answered;
		},
		get seen() {
			return seen;
		},
		close() {
			for (const socket of probes) {
				probes.delete(socket);
				socket.destroy();
			}
		},
	};
}
