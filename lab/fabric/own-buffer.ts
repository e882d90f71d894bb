/**
 * Reading a server's connection into one buffer again and again. Node.js makes a new one of 64 KiB for each read: to make and to clear them takes longer than to switch what is
 * in them, and a buffer that was just used is still in the processor's cache. net.Socket has `onread` for this, but on connections alone that one opens oneself, so
 * that the connection is taken over with its handle (as node:cluster does it): where there is none, it is read as it was.
 */
import {type OnReadOpts, Socket} from 'node:net';

/** Bytes of the buffer: what a unix socket keeps of what was not read yet, by default (net.core.wmem_default). */
const bufferBytes = 256 * 1024;

/**
 * Reads all that comes over a connection that nothing was read of yet (`pauseOnConnect`).
 *
 * @param take is given each piece; it returns whether somebody still needs its memory, which is not written over then
 * @returns the connection, in place of the one that was given
 */
export function readIntoOwnBuffer(accepted: Socket, take: (chunk: Buffer) => boolean): Socket {
	const given = accepted as unknown as {_handle: unknown};
	const {_handle: handle} = given;
	if (handle === null || handle === undefined) {
		accepted.on('data', take);
		accepted.resume();
		return accepted;
	}

	// Its server counts it until it is destroyed, and without its handle that ends nothing.
	given._handle = null;
	accepted.destroy();
	let buffer = Buffer.allocUnsafeSlow(bufferBytes);
	const options: {readonly handle: unknown; readonly onread: OnReadOpts} = {
		handle,
		onread: {
			buffer: () => buffer,
			callback(length) {
				if (take(buffer.subarray(0, length))) {
					buffer = Buffer.allocUnsafeSlow(bufferBytes);
				}

				return true;
			},
		},
	};
	return new Socket(options as object);
}
