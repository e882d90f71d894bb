/** Reads what `pcapng.ts` writes, in whatever pieces it comes. Files of others, big-endian ones for example, are not its matter. */
import type {LinkDirection} from '../spec/impairment.ts';
import {blockTypes, byteOrderMagic, directionFlags, type InterfaceStatistics, options, packetHeadBytes} from './pcapng.ts';

/** A frame of a capture. */
export interface CapturedFrame {
	/** Number of its interface. */
	readonly interface: number;
	/** Milliseconds since 1970, to the microsecond. */
	readonly time: number;
	readonly direction: LinkDirection;
	/** Bytes that it had on its link. */
	readonly length: number;
	/** Those that were captured. */
	readonly bytes: Buffer;
	readonly comment?: string;
}

/** Who is told what is in a capture, in its order. */
export interface CaptureHandlers {
	/** An interface; they count from 0. */
	readonly onInterface?: (name: string) => void;
	/** A frame; its bytes are a piece of what was read. */
	readonly onFrame?: (frame: CapturedFrame) => void;
	readonly onStatistics?: (statistics: InterfaceStatistics) => void;
}

/** No block of ours is longer: a frame and a few options. */
const longestBlock = 1024 * 1024;

/**
 * A reader for one capture, to be called with each piece of it.
 *
 * @throws Error for what is no such capture
 */
export function pcapngReader(handlers: CaptureHandlers): (chunk: Buffer) => void {
	let rest: Buffer = Buffer.alloc(0);
	return (chunk) => {
		const buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
		let at = 0;
		while (buffer.length - at >= 12) {
			const length = buffer.readUInt32LE(at + 4);
			if (length < 12 || length % 4 !== 0 || length > longestBlock) {
				throw new Error(`a capture with a block of ${length} bytes`);
			}

			if (buffer.length - at < length) {
				break;
			}

			readBlock(buffer.subarray(at, at + length), handlers);
			at += length;
		}

		// The piece is the caller's, who may read the next one into it.
		rest = Buffer.from(buffer.subarray(at));
	};
}

function readBlock(block: Buffer, {onInterface, onFrame, onStatistics}: CaptureHandlers): void {
	switch (block.readUInt32LE(0)) {
		case blockTypes.section: {
			if (block.readUInt32LE(8) !== byteOrderMagic) {
				throw new Error('a capture in another order of bytes');
			}

			break;
		}

		case blockTypes.interface: {
			onInterface?.(readOptions(block, 16).get(options.interface.name)?.toString('utf8') ?? '');
			break;
		}

		case blockTypes.packet: {
			if (onFrame === undefined) {
				return;
			}

			const captured = block.readUInt32LE(20);
			const list = readOptions(block, packetHeadBytes + ((captured + 3) & ~3));
			const comment = list.get(options.comment)?.toString('utf8');
			onFrame({
				interface: block.readUInt32LE(8), time: readTime(block, 12), length: block.readUInt32LE(24), bytes: block.subarray(packetHeadBytes, packetHeadBytes + captured),
				direction: ((list.get(options.packet.flags)?.readUInt32LE(0) ?? 0) & 3) === directionFlags.to ? 'to' : 'from',
				...(comment !== undefined && {comment}),
			});
			break;
		}

		case blockTypes.statistics: {
			const list = readOptions(block, 20);
			const count = (code: number): number => Number(list.get(code)?.readBigUInt64LE(0) ?? 0n);
			const time = (code: number): number => readTime(list.get(code) ?? block, list.has(code) ? 0 : 12);
			onStatistics?.({
				interface: block.readUInt32LE(8), startTime: time(options.statistics.startTime), endTime: time(options.statistics.endTime),
				received: count(options.statistics.received), dropped: count(options.statistics.dropped),
			});
			break;
		}

		default: {
			// A block that is not known is passed over (3.1).
			break;
		}
	}
}

/** Milliseconds since 1970. */
function readTime(buffer: Buffer, at: number): number {
	return (buffer.readUInt32LE(at) * 0x1_0000_0000 + buffer.readUInt32LE(at + 4)) / 1000;
}

/** Options by their numbers, from a place in a block to its end. */
function readOptions(block: Buffer, start: number): Map<number, Buffer> {
	const list = new Map<number, Buffer>();
	let at = start;
	while (at + 4 <= block.length - 4) {
		const [code, length] = [block.readUInt16LE(at), block.readUInt16LE(at + 2)];
		if (code === options.end) {
			break;
		}

		list.set(code, block.subarray(at + 4, at + 4 + length));
		at += 4 + ((length + 3) & ~3);
	}

	return list;
}
