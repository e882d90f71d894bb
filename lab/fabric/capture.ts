/**
 * Captures: frames of links as pcapng, each capture over a unix socket of its own, which one reader connects to. The reader
 * ends a capture in good order when it ends its side of the connection: then what is left follows, and the statistics.
 * A reader that does not read makes the capture leave frames out, and never anybody else wait.
 */
import {once} from 'node:events';
import {rmSync} from 'node:fs';
import {createServer, type Server, type Socket} from 'node:net';
import path from 'node:path';
import {listenPrivately} from '../host/private-socket.ts';
import {capturedLinks, type CaptureRequest, droppedPrefix} from './capture-request.ts';
import {framePredicate} from './frame-predicate.ts';
import {interfaceDescription, interfaceStatistics, packetBlockBytes, packetComment, sectionHeader, writePacketBlock} from './pcapng.ts';
import {type FrameWitness, frameRecorder, recordedBytes, type RecordFrame} from './recorder.ts';

/** Bytes that wait for a reader at most. */
export const longestCaptureQueue = 4 * 1024 * 1024;
/** Captures at one time: each costs time for every frame. */
export const mostCaptures = 16;
/** Milliseconds until somebody must have connected. */
const connectDeadline = 10_000;
/** Milliseconds that a reader has for what is left when the fabric ends. */
const farewell = 1000;
/** Bytes that are written in one go at most; longer than any frame. */
const pieceBytes = 128 * 1024;
/** Milliseconds that frames wait for others, so that they go to the reader together: each piece costs a system call here and some in the reader. */
const gathering = 20;
/** Recorded frames that are written without looking after the networks in between. */
const framesAtOnce = 256;

/** All captures of a fabric, and the recorder: to be told of each frame on each link; links have the places of their names. */
export interface Captures extends FrameWitness {
	/**
	 * Makes a capture, which begins when a reader connects; nobody else can connect then.
	 *
	 * @returns the name of its socket, in the fabric's folder
	 * @throws what `capturedLinks` throws, Error when there are too many captures, the system's error when the socket cannot be made
	 */
	open(request: CaptureRequest): Promise<string>;
	/** Ends all captures; returns when their sockets are gone. */
	close(): Promise<void>;
}

/** A capture, from when its socket is there. */
interface Session {
	readonly record?: RecordFrame;
	/** Writes what is left, and ends the connection. */
	finish(): void;
	/** Resolves when nothing of it is left. */
	readonly gone: Promise<void>;
	/** Ends it at once. */
	destroy(): void;
}

/** Milliseconds since 1970 for a `performance.now()`, by the clock as it is at this moment: it may have been set since we began. */
function wallClock(): (time: number) => number {
	const now = Date.now() - performance.now();
	// The host's clock tells milliseconds only: where nobody set it, the more exact beginning holds.
	const offset = Math.abs(now - performance.timeOrigin) < 5 ? performance.timeOrigin : now;
	return (time) => offset + time;
}

/** The recorder and the captures of a fabric with these links, in whose folder sockets are made. */
export function openCaptures(folder: string, links: readonly string[]): Captures {
	const recorder = frameRecorder(links.length);
	const sessions = new Set<Session>();
	let live: RecordFrame[] = [];
	let count = 0;

	return {
		record(link, direction, time, buffer, start, end, reason) {
			recorder.record(link, direction, time, buffer, start, end, reason);
			for (const record of live) {
				record(link, direction, time, buffer, start, end, reason);
			}
		},
		recordPassage(from, to, time, buffer, start, end) {
			recorder.recordPassage(from, to, time, buffer, start, end);
			for (const record of live) {
				record(from, 'from', time, buffer, start, end);
				record(to, 'to', time, buffer, start, end);
			}
		},
		async open(request) {
			const wanted = capturedLinks(request, links);
			if (sessions.size >= mostCaptures) {
				throw new Error(`there are ${sessions.size} captures already, which is the most at one time`);
			}

			count += 1;
			const name = `capture-${count}.sock`;
			const begin: Begin = (socket) => {
				const numbers = wanted.map((link) => links.indexOf(link));
				const capture = {request, names: wanted, numbers, socket};
				if (request.recorded !== undefined) {
					return sendRecorded(capture, recorder.recorded(numbers));
				}

				const started = captureLive(capture, () => {
					live = live.filter((record) => record !== started.record);
				});
				live.push(started.record);
				return started;
			};

			const session = await listen(path.join(folder, name), begin);
			sessions.add(session);
			void session.gone.then(() => sessions.delete(session));
			return name;
		},
		async close() {
			const open = [...sessions];
			for (const session of open) {
				session.finish();
			}

			const giveUp = setTimeout(() => {
				for (const session of open) {
					session.destroy();
				}
			}, farewell);
			await Promise.all(open.map(async ({gone}) => gone));
			clearTimeout(giveUp);
		},
	};
}

/** Begins a capture over a connection; `finish` ends it. */
type Begin = (socket: Socket) => {finish(): void};

/** Waits for the one reader of a capture. */
async function listen(file: string, begin: Begin): Promise<Session> {
	let socket: Socket | undefined;
	let capture: {finish(): void} | undefined;
	const server: Server = createServer({allowHalfOpen: true}, (connection) => {
		if (socket !== undefined) {
			connection.destroy();
			return;
		}

		clearTimeout(alarm);
		socket = connection;
		// It can have one reader, so that its file is of no use any more.
		server.close();
		rmSync(file, {force: true});
		connection.on('error', () => {
			connection.destroy();
		});
		capture = begin(connection);
		connection.on('end', () => {
			capture?.finish();
		});
		connection.on('close', () => {
			capture?.finish();
		});
		// What a reader says is its end alone.
		connection.resume();
	});
	const alarm = setTimeout(() => {
		server.close();
	}, connectDeadline);
	let release: () => Promise<void>;
	try {
		release = await listenPrivately(server, file);
	} catch (error) {
		clearTimeout(alarm);
		throw error;
	}

	const gone = once(server, 'close').then(async () => {
		rmSync(file, {force: true});
		await release();
	});

	return {
		gone,
		finish() {
			clearTimeout(alarm);
			server.close();
			capture?.finish();
		},
		destroy() {
			socket?.destroy();
		},
	};
}

/** What a capture is made with, once it has a reader. */
interface OpenCapture {
	readonly request: CaptureRequest;
	/** Names and numbers of its links; their places here are the numbers of the capture's interfaces. */
	readonly names: readonly string[];
	readonly numbers: readonly number[];
	readonly socket: Socket;
}

/** The first blocks of a capture. */
function head({names}: OpenCapture, snapLength: number): Buffer {
	return Buffer.concat([sectionHeader('vmlab'), ...names.map((name) => interfaceDescription({name, snapLength}))]);
}

/** Comments by reason: there are few, and a reader may look at many frames. */
function reasonComments(): (reason: string | undefined) => Buffer | undefined {
	const comments = new Map<string, Buffer>();
	return (reason) => {
		if (reason === undefined) {
			return undefined;
		}

		const known = comments.get(reason) ?? packetComment(`${droppedPrefix}${reason}`);
		comments.set(reason, known);
		return known;
	};
}

/** Gathers blocks, and gives them to a connection in pieces that are not changed afterwards. */
function blockWriter(socket: Socket) {
	let piece = Buffer.allocUnsafeSlow(pieceBytes);
	let from = 0;
	let to = 0;
	const flush = (): void => {
		if (to > from && socket.writable) {
			socket.write(piece.subarray(from, to));
		}

		from = to;
	};

	return {
		flush,
		/** Bytes that were put and have not left our hands. */
		get waiting() {
			return socket.writableLength + to - from;
		},
		/** Room for so many bytes: where it is. They are put when `write` has given their end. */
		put(bytes: number, write: (target: Buffer, at: number) => number): void {
			if (to + bytes > piece.length) {
				flush();
				piece = Buffer.allocUnsafeSlow(Math.max(pieceBytes, bytes));
				from = 0;
				to = 0;
			}

			to = write(piece, to);
		},
	};
}

/** Captures what comes from now on. */
function captureLive(capture: OpenCapture, onFinish: () => void): {record: RecordFrame; finish(): void} {
	const {request, numbers, socket} = capture;
	const {snapLength = 0, direction: wanted, count = Number.POSITIVE_INFINITY} = request;
	const interfaces = new Map(numbers.map((link, index) => [link, index]));
	const counts = numbers.map(() => ({received: 0, dropped: 0}));
	const means = framePredicate(request.match);
	const commentOf = reasonComments();
	const wall = wallClock();
	const startTime = wall(performance.now());
	const writer = blockWriter(socket);
	let captured = 0;
	let flushing: NodeJS.Timeout | undefined;
	let finished = false;
	socket.write(head(capture, snapLength));

	const finish = (): void => {
		if (finished) {
			return;
		}

		finished = true;
		clearTimeout(flushing);
		onFinish();
		writer.flush();
		if (socket.writable) {
			const endTime = wall(performance.now());
			socket.end(Buffer.concat(counts.map(({received, dropped}, index) => interfaceStatistics({interface: index, startTime, endTime, received, dropped}))));
		}
	};

	return {
		finish,
		record(link, direction, time, buffer, start, end, reason) {
			const index = interfaces.get(link);
			if (index === undefined || finished) {
				return;
			}

			const own = counts[index]!;
			own.received += 1;
			if ((wanted !== undefined && direction !== wanted) || (means !== undefined && !means(buffer, start, end))) {
				return;
			}

			const cut = snapLength === 0 ? end : Math.min(end, start + snapLength);
			const comment = commentOf(reason);
			const bytes = packetBlockBytes(cut - start, comment);
			if (writer.waiting + bytes > longestCaptureQueue) {
				own.dropped += 1;
				return;
			}

			writer.put(bytes, (target, at) => writePacketBlock(target, at, {interface: index, time: wall(time), direction, length: end - start, comment}, buffer, start, cut));
			captured += 1;
			if (captured >= count) {
				finish();
			} else {
				// A whole piece goes at once.
				flushing ??= setTimeout(() => {
					flushing = undefined;
					writer.flush();
				}, gathering);
			}
		},
	};
}

/** Sends what was recorded, as fast as it is read, a little at a time: networks go on meanwhile. */
function sendRecorded(capture: OpenCapture, {links, frames}: ReturnType<ReturnType<typeof frameRecorder>['recorded']>): {finish(): void} {
	const {request, numbers, socket} = capture;
	const {direction: wanted, count = Number.POSITIVE_INFINITY, snapLength = recordedBytes} = request;
	const {since = 0, until = Number.POSITIVE_INFINITY} = request.recorded ?? {};
	const interfaces = new Map(numbers.map((link, index) => [link, index]));
	const means = framePredicate(request.match);
	const commentOf = reasonComments();
	const wall = wallClock();
	const endTime = wall(performance.now());
	const writer = blockWriter(socket);
	const source = frames();
	let captured = 0;
	socket.write(head(capture, Math.min(recordedBytes, snapLength)));

	const end = (): void => {
		writer.flush();
		socket.end(Buffer.concat(links.map(({since: startTime, recorded, overwritten}, index) => interfaceStatistics({
			interface: index, startTime: wall(startTime), endTime, received: recorded, dropped: overwritten,
		}))));
	};

	const send = (): void => {
		for (let index = 0; index < framesAtOnce; index++) {
			const {value: frame} = captured < count ? source.next() : {value: undefined};
			if (!socket.writable) {
				return;
			}

			if (frame === undefined) {
				end();
				return;
			}

			const {link, direction, bytes, reason} = frame;
			const time = wall(frame.time);
			if (time < since || time > until || (wanted !== undefined && direction !== wanted) || (means !== undefined && !means(bytes, 0, bytes.length))) {
				continue;
			}

			const comment = commentOf(reason);
			const cut = Math.min(bytes.length, snapLength);
			writer.put(packetBlockBytes(cut, comment), (target, at) =>
				writePacketBlock(target, at, {interface: interfaces.get(link)!, time, direction, length: frame.length, comment}, bytes, 0, cut));
			captured += 1;
		}

		writer.flush();
		if (socket.writableNeedDrain) {
			socket.once('drain', send);
		} else {
			setImmediate(send);
		}
	};

	send();
	// It ends by itself.
	return {finish() {}};
}
