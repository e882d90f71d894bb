/** A port of the fabric: a unix socket that one machine's NIC connects to, with a bounded queue towards it. */
import {rm} from 'node:fs/promises';
import {createServer, type Server, type Socket} from 'node:net';
import {once} from 'node:events';
import {listenPrivately} from '../host/private-socket.ts';
import {countDroppedIn, countDroppedOut, type DropReason, newCounters, type PortCounters} from './counters.ts';
import {frameReader, headerBytes} from './framing.ts';
import {readIntoOwnBuffer} from './own-buffer.ts';

export type {PortCounters} from './counters.ts';

/** Takes a frame that came in, with its header, as a piece of a buffer. */
export type FrameHandler = (buffer: Buffer, start: number, end: number) => void;

/** An open port. */
export interface Port {
	readonly counters: PortCounters;
	/**
	 * Sends a frame, with its header, to the machine; `flush` must follow. The buffer must not be changed afterwards.
	 * A full queue drops it, as a switch does.
	 *
	 * @returns why it was dropped, where it was
	 */
	deliver(buffer: Buffer, start: number, end: number): DropReason | undefined;
	/** Hands what was delivered to the kernel, in one go. Gives whether some of it waits here, in the buffer that it was delivered in. */
	flush(): boolean;
	/** Has the kernel everything that was delivered? */
	readonly flushed: boolean;
	/** Ends the connection and the socket. */
	close(): Promise<void>;
}

/** Bytes that wait for a machine at most: some 30 ms at a gigabit, and about what the TCP windows of a few streams hold. */
export const longestQueue = 4 * 1024 * 1024;
/** The least part of a buffer that may keep all of it. */
const leastPart = 1 / 8;

/** A piece of a buffer that has to wait: a copy of one that is small, so that what waits is no more than some times what is counted. */
export function keepable(buffer: Buffer, start: number, end: number): Buffer {
	const bytes = buffer.subarray(start, end);
	return bytes.length < buffer.buffer.byteLength * leastPart ? Buffer.from(bytes) : bytes;
}

/** Where a port listens, and what it does with what comes. */
export interface PortOptions {
	/** The socket's file. */
	readonly socket: string;
	/** Called for each frame from the machine. */
	readonly onFrame: FrameHandler;
	/** Called when all frames of a chunk were handed over: the time to flush. Returns whether a frame of it may still be needed. */
	readonly onBatch: () => boolean;
	/** Called when the machine has gone. */
	readonly onGone: () => void;
}

/**
 * Listens. One machine at a time: a new connection takes the place of the old one, since a machine that was started
 * again may be here before the end of its former self is told.
 *
 * @throws the system's error when the socket cannot be made
 */
export async function openPort({socket, onFrame, onBatch, onGone}: PortOptions): Promise<Port> {
	const counters = newCounters();
	let connection: Socket | undefined;
	// Frames that were delivered and not yet flushed: pieces of buffers; neighbours in one buffer are one piece.
	let pieces: Array<{buffer: Buffer; start: number; end: number}> = [];
	let queued = 0;

	const accept = (accepted: Socket): void => {
		connection?.destroy();
		pieces = [];
		queued = 0;
		const reader = frameReader();
		const take: FrameHandler = (buffer, start, end) => {
			counters.framesIn += 1;
			counters.bytesIn += end - start - headerBytes;
			onFrame(buffer, start, end);
		};

		const next = readIntoOwnBuffer(accepted, (chunk) => {
			const whole = reader.read(chunk, take);
			const isNeeded = onBatch();
			if (!whole) {
				countDroppedIn(counters, 'broken');
				next.destroy();
			}

			return isNeeded;
		});
		connection = next;
		next.on('error', () => {
			next.destroy();
		});
		next.on('close', () => {
			if (connection === next) {
				connection = undefined;
				pieces = [];
				queued = 0;
				onGone();
			}
		});
	};

	const server: Server = createServer({pauseOnConnect: true}, accept);
	await rm(socket, {force: true});
	const release = await listenPrivately(server, socket);

	return {
		counters,
		get flushed() {
			return pieces.length === 0 && (connection === undefined || connection.writableLength === 0);
		},
		deliver(buffer, start, end) {
			const length = end - start;
			if (connection === undefined) {
				countDroppedOut(counters, 'not-connected');
				return 'not-connected';
			}

			if (connection.writableLength + queued + length > longestQueue) {
				countDroppedOut(counters, 'not-read');
				return 'not-read';
			}

			counters.framesOut += 1;
			counters.bytesOut += length - headerBytes;
			queued += length;
			const last = pieces.at(-1);
			if (last !== undefined && last.buffer === buffer && last.end === start) {
				last.end = end;
			} else {
				pieces.push({buffer, start, end});
			}

			return undefined;
		},
		flush() {
			if (connection === undefined || pieces.length === 0) {
				return false;
			}

			const out = pieces;
			pieces = [];
			queued = 0;
			const waits = connection.writableLength > 0;
			let isLent = false;
			const bytesOf = ({buffer, start, end}: (typeof out)[number]): Buffer => {
				const bytes = waits ? keepable(buffer, start, end) : buffer.subarray(start, end);
				isLent ||= bytes.buffer === buffer.buffer;
				return bytes;
			};

			if (out.length === 1) {
				connection.write(bytesOf(out[0]!));
			} else {
				connection.cork();
				for (const piece of out) {
					connection.write(bytesOf(piece));
				}

				connection.uncork();
			}

			return isLent && connection.writableLength > 0;
		},
		async close() {
			connection?.destroy();
			server.close();
			await once(server, 'close').catch(() => {});
			await rm(socket, {force: true});
			await release();
		},
	};
}
