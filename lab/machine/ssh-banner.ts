/**
 * Finding out, while a guest still boots, when its ssh server answers.
 *
 * QEMU's user network accepts a connection to a forwarded port at once, whether or not the guest listens, and its own TCP
 * towards a guest whose NIC is not up yet is slow to try again. So one connection that hangs says nothing: new ones are
 * opened beside it, and the first over which the server's greeting comes is the one that is used.
 */
import {createConnection, type Socket} from 'node:net';
import {until} from '../host/wait.ts';

/** Connections that are open at once; the oldest is given up for a new one. */
const mostProbes = 8;
/** Milliseconds between two new connections: at first, and at most. */
const firstPause = 250;
const longestPause = 2000;

/**
 * A connection over which the server's greeting has come (and can still be read).
 *
 * @param deadline milliseconds
 * @throws `wait-expired` with what was seen last; the signal's reason
 */
export async function awaitBanner(port: number, machine: string, options: {deadline: number; signal?: AbortSignal | undefined}): Promise<Socket> {
	const probes: Socket[] = [];
	let seen = 'nothing yet';
	let pause = firstPause;
	let answered: Socket | undefined;
	let wake: () => void = () => {};
	const probe = (): void => {
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
			if (connected && answered !== socket) {
				seen = 'the connection is accepted and ended at once';
			}

			const index = probes.indexOf(socket);
			if (index >= 0) {
				probes.splice(index, 1);
			}
		});
		// 'readable' leaves the bytes where they are, for the one who goes on with the connection.
		socket.once('readable', () => {
			if (answered === undefined && socket.readableLength > 0) {
				answered = socket;
				wake();
			}
		});
		probes.push(socket);
		if (probes.length > mostProbes) {
			probes.shift()?.destroy();
		}
	};

	const abort = (): void => {
		wake();
	};

	options.signal?.addEventListener('abort', abort, {once: true});
	try {
		return await until(
			`the machine ${machine} answers over ssh`,
			async () => {
				if (answered === undefined) {
					probe();
					await new Promise<void>((resolve) => {
						const alarm = setTimeout(resolve, pause);
						wake = () => {
							clearTimeout(alarm);
							resolve();
						};
					});
					pause = Math.min(pause * 1.2, longestPause);
				}

				return answered === undefined ? {met: false, seen} : {met: true, value: answered};
			},
			// The pauses are above, where an answer ends them.
			{deadline: options.deadline, interval: 1, ...(options.signal && {signal: options.signal})},
		);
	} finally {
		options.signal?.removeEventListener('abort', abort);
		for (const socket of [...probes]) {
			if (socket !== answered || options.signal?.aborted) {
				socket.destroy();
			}
		}

		answered?.removeAllListeners('error').removeAllListeners('close').removeAllListeners('connect');
	}
}
