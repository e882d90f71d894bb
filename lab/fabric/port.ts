/** A port of the fabric: a unix socket that one machine's NIC connects to, with a bounded queue towards it. */
import {chmodSync} from 'node:fs';
import {rm} from 'node:fs/promises';
import {createServer, type Server, type Socket} from 'node:net';
import {once} from 'node:events';
import {socketPath} from '../host/socket-path.ts';
import {frameReader, headerBytes} from './framing.ts';

/** What went through a port, seen from the fabric: `in` came from the machine, `out` went to it. Bytes are those of frames. */
export interface PortCounters {
	framesIn: number;
	bytesIn: number;
	framesOut: number;
	bytesOut: number;
	/** Frames for the machine that found the queue full, or nobody connected. */
	droppedOut: number;
	/** Frames from the machine that no network takes (too short, too long, or for a station on the same port). */
	droppedIn: number;
	/** Times that the machine sent what is no frame, and was disconnected for it. */
	broken: number;
}

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
	deliver(buffer: Buffer, start: number, end: number): string | undefined;
	/** Hands what was delivered to the kernel, in one go. */
	flush(): void;
	/** Has the kernel everything that was delivered? */
	readonly flushed: boolean;
	/** Ends the connection and the socket. */
	close(): Promise<void>;
}

/** Bytes that wait for a machine at most: some 30 ms at a gigabit, and about what the TCP windows of a few streams hold. */
export const longestQueue = 4 * 1024 * 1024;

/** Where a port listens, and what it does with what comes. */
export interface PortOptions {
	/** The socket's file. */
	readonly socket: string;
	/** Called for each frame from the machine. */
	readonly onFrame: FrameHandler;
	/** Called when all frames of a chunk were handed over: the time to flush. */
	readonly onBatch: () => void;
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
	const counters: PortCounters = {framesIn: 0, bytesIn: 0, framesOut: 0, bytesOut: 0, droppedOut: 0, droppedIn: 0, broken: 0};
	let connection: Socket | undefined;
	// Frames that were delivered and not yet flushed: pieces of buffers; neighbours in one buffer are one piece.
	let pieces: Array<{buffer: Buffer; start: number; end: number}> = [];
	let queued = 0;

	const accept = (next: Socket): void => {
		connection?.destroy();
		connection = next;
		pieces = [];
		queued = 0;
		const reader = frameReader();
		const take: FrameHandler = (buffer, start, end) => {
			counters.framesIn += 1;
			counters.bytesIn += end - start - headerBytes;
			onFrame(buffer, start, end);
		};

		next.on('data', (chunk: Buffer) => {
			const whole = reader.read(chunk, take);
			onBatch();
			if (!whole) {
				counters.broken += 1;
				next.destroy();
			}
		});
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

	const short = await socketPath(socket);
	const server: Server = createServer(accept);
	try {
		await rm(socket, {force: true});
		server.listen(short.path);
		await once(server, 'listening');
		chmodSync(socket, 0o600);
	} catch (error) {
		await short.release();
		throw error;
	}

	return {
		counters,
		get flushed() {
			return pieces.length === 0 && (connection === undefined || connection.writableLength === 0);
		},
		deliver(buffer, start, end) {
			const length = end - start;
			if (connection === undefined || connection.writableLength + queued + length > longestQueue) {
				counters.droppedOut += 1;
				return connection === undefined ? 'nobody is connected' : 'the queue is full';
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
				return;
			}

			const out = pieces;
			pieces = [];
			queued = 0;
			if (out.length === 1) {
				const [{buffer, start, end}] = out as [{buffer: Buffer; start: number; end: number}];
				connection.write(buffer.subarray(start, end));
				return;
			}

			connection.cork();
			for (const {buffer, start, end} of out) {
				connection.write(buffer.subarray(start, end));
			}

			connection.uncork();
		},
		async close() {
			connection?.destroy();
			server.close();
			await once(server, 'close').catch(() => {});
			await rm(socket, {force: true});
			await short.release();
		},
	};
}
