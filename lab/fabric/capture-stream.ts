/** The reader's end of a capture. */
import {once} from 'node:events';
import {createConnection, type Socket} from 'node:net';
import {socketPath} from '../host/socket-path.ts';
import {readRecording, type Recording} from './recording.ts';

/** Bytes that are read at once. */
const pieceBytes = 1024 * 1024;

/** Takes bytes that are read over as soon as it returns, or as the promise that it gives resolves: nothing is read until then. */
export type TakeBytes = (bytes: Buffer) => Promise<void> | undefined;

/**
 * Connects to the socket of a capture, which begins then. Ending our side of the connection ends it in good order; whoever
 * only reads must leave that open.
 *
 * @param take gets what comes, which is then not to be read from the connection: all of it is read into one piece of memory (`onread` of net.Socket), which takes
 * a third of the time, and a reader shares processors with the machines. What it throws breaks the connection.
 * @throws the system's error when nobody listens
 */
export async function connectCapture(file: string, take?: TakeBytes): Promise<Socket> {
	const place = await socketPath(file);
	try {
		const socket: Socket = createConnection({path: place.path, allowHalfOpen: true, ...(take && {onread: {
			buffer: Buffer.allocUnsafeSlow(pieceBytes),
			callback(bytes: number, buffer: Uint8Array) {
				try {
					const wait = take((buffer as Buffer).subarray(0, bytes));
					void wait?.then(() => socket.resume(), (error: Error) => socket.destroy(error));
					return wait === undefined;
				} catch (error) {
					socket.destroy(error as Error);
					return false;
				}
			},
		}})});
		await once(socket, 'connect');
		return socket;
	} finally {
		await place.release();
	}
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
