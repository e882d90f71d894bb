/** The reader's end of a capture. */
import {once} from 'node:events';
import {createConnection, type Socket} from 'node:net';
import {socketPath} from '../host/socket-path.ts';
import {readRecording, type Recording} from './recording.ts';

/**
 * Connects to the socket of a capture, which begins then. Ending our side of the connection ends it in good order; whoever
 * only reads must leave that open.
 *
 * @throws the system's error when nobody listens
 */
export async function connectCapture(file: string): Promise<Socket> {
	const place = await socketPath(file);
	try {
		const socket = createConnection({path: place.path, allowHalfOpen: true});
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
