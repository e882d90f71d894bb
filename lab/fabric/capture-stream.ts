/** The reader's end of a capture. */
import {once} from 'node:events';
import {createConnection, type OnReadOpts, type Socket} from 'node:net';
import {socketPath} from '../host/socket-path.ts';
import {readRecording, type Recording} from './recording.ts';

/** Bytes that are read at once. */
const pieceBytes = 1024 * 1024;

/** Takes bytes that are read over as soon as it returns, or as the promise that it gives resolves: nothing is read until then. */
export type TakeBytes = (bytes: Buffer) => Promise<void> | undefined;

/** A capture that is being received. */
export interface ReceivedCapture {
	/** Asks for its end: what is left follows, and the statistics. */
	finish(): void;
	/** Ends it at once. */
	stop(): void;
	/** Resolves when nothing more comes: with the error where the connection broke, or `take` threw. */
	readonly over: Promise<Error | undefined>;
}

/** How a connection is read into one piece of memory. Only a read that is asked for calls it, so `socket` is there by then. */
function readBy(take: TakeBytes, socket: () => Socket): OnReadOpts {
	return {
		buffer: Buffer.allocUnsafeSlow(pieceBytes),
		callback(bytes, buffer) {
			try {
				const wait = take((buffer as Buffer).subarray(0, bytes));
				void wait?.then(() => socket().resume(), (error: Error) => socket().destroy(error));
				return wait === undefined;
			} catch (error) {
				socket().destroy(error as Error);
				return false;
			}
		},
	};
}

/** Connects; `over` is listened for before anything can come. */
async function connect(file: string, take?: TakeBytes): Promise<{socket: Socket; over: ReceivedCapture['over']}> {
	const place = await socketPath(file);
	try {
		const socket: Socket = createConnection({path: place.path, allowHalfOpen: true, ...(take && {onread: readBy(take, () => socket)})});
		const over = new Promise<Error | undefined>((resolve) => {
			socket.once('error', resolve);
			for (const event of ['end', 'close']) {
				socket.once(event, () => {
					resolve(undefined);
				});
			}
		});
		await once(socket, 'connect');
		return {socket, over};
	} finally {
		await place.release();
	}
}

/**
 * Connects to the socket of a capture, which begins then. Ending our side of the connection ends it in good order; whoever
 * only reads must leave that open.
 *
 * @throws the system's error when nobody listens
 */
export async function connectCapture(file: string): Promise<Socket> {
	return (await connect(file)).socket;
}

/**
 * Receives a capture for long, at little cost for the machines, which a reader shares the processors with: all of it is read into one piece of memory (`onread` of
 * net.Socket), which `take` has while it runs.
 *
 * @throws the system's error when nobody listens
 */
export async function receiveCapture(file: string, take: TakeBytes): Promise<ReceivedCapture> {
	const {socket, over} = await connect(file, take);
	return {
		finish() {
			socket.end();
		},
		stop() {
			socket.destroy();
		},
		over,
	};
}

/**
 * Reads a capture that ends by itself: of what was recorded, or of so many frames.
 *
 * @throws the system's error when it breaks; the signal's reason
 */
export async function readCapture(file: string, signal?: AbortSignal): Promise<Buffer> {
	const socket = await connectCapture(file);
	const abort = (): void => {
		socket.destroy();
	};

	signal?.addEventListener('abort', abort, {once: true});
	try {
		signal?.throwIfAborted();
		const chunks: Buffer[] = [];
		for await (const chunk of socket) {
			chunks.push(chunk as Buffer);
		}

		return Buffer.concat(chunks);
	} finally {
		signal?.removeEventListener('abort', abort);
		socket.destroy();
		signal?.throwIfAborted();
	}
}

/**
 * Reads a capture that ends by itself as values.
 *
 * @throws what `readCapture` and `readRecording` throw
 */
export async function receiveRecording(file: string, signal?: AbortSignal): Promise<Recording> {
	return readRecording(await readCapture(file, signal));
}
