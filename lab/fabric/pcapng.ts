/**
 * Writes pcapng (draft-ietf-opsawg-pcapng), little-endian, of Ethernet links, with times in microseconds: what Wireshark, tshark
 * and tcpdump read. A block is its type, its length, a body in words of 32 bits, and its length again (3.1).
 */
import type {LinkDirection} from '../spec/impairment.ts';

/** Types of blocks (section 4): they are the reader's too. */
export const blockTypes = {section: 0x0a0d_0d0a, interface: 1, statistics: 5, packet: 6} as const;
/** Tells the order of bytes within a section (4.1). */
export const byteOrderMagic = 0x1a2b_3c4d;
/** Numbers of options: the common ones (3.5), and those of each block (4.1 to 4.6). */
export const options = {
	end: 0, comment: 1,
	section: {application: 4},
	interface: {name: 2, timeResolution: 9, filter: 11},
	packet: {flags: 2},
	statistics: {startTime: 2, endTime: 3, received: 4, dropped: 5},
} as const;
/** Bytes of a packet block without its data and its options. */
export const packetHeadBytes = 28;
/** Bits 0 and 1 of a packet's flags (4.3.1). What comes from a machine is inbound for the fabric, whose end of the link is the interface. */
export const directionFlags: Readonly<Record<LinkDirection, number>> = {from: 1, to: 2};

/** LINKTYPE_ETHERNET. */
const ethernet = 1;
/** 10 to the power of minus 6 seconds: microseconds. */
const microseconds = 6;

function padded(bytes: number): number {
	return (bytes + 3) & ~3;
}

/** One option: its number, its length, its value, padded to words. */
function option(code: number, value: Uint8Array | string): Buffer {
	const bytes = Buffer.from(value);
	const text = bytes.subarray(0, 0xffff);
	const out = Buffer.alloc(4 + padded(text.length));
	out.writeUInt16LE(code, 0);
	out.writeUInt16LE(text.length, 2);
	out.set(text, 4);
	return out;
}

/** A number of 64 bits, as the options of statistics have it. */
function counter(value: number): Buffer {
	const out = Buffer.alloc(8);
	out.writeBigUInt64LE(BigInt(value));
	return out;
}

/** Milliseconds since 1970 as the format has times: microseconds in two words, the high one first. */
function timestamp(time: number): Buffer {
	const out = Buffer.alloc(8);
	writeTimestamp(out, 0, time);
	return out;
}

function writeTimestamp(target: Buffer, at: number, time: number): void {
	const value = Math.round(time * 1000);
	target.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at);
	target.writeUInt32LE(value % 0x1_0000_0000, at + 4);
}

const endOfOptions = option(options.end, '');

/** A block. Options are ended where there are some. */
function block(type: number, body: Buffer, list: readonly Buffer[]): Buffer {
	const parts = [body, ...list, ...(list.length === 0 ? [] : [endOfOptions])];
	const length = 12 + parts.reduce((sum, part) => sum + part.length, 0);
	const [head, tail] = [Buffer.alloc(8), Buffer.alloc(4)];
	head.writeUInt32LE(type, 0);
	head.writeUInt32LE(length, 4);
	tail.writeUInt32LE(length, 0);
	return Buffer.concat([head, ...parts, tail]);
}

/** The section header (4.1): the first block of a file. Its length is not known before its end. */
export function sectionHeader(application: string): Buffer {
	const body = Buffer.alloc(16);
	body.writeUInt32LE(byteOrderMagic, 0);
	body.writeUInt16LE(1, 4);
	body.writeUInt16LE(0, 6);
	body.fill(0xff, 8);
	return block(blockTypes.section, body, [option(options.section.application, application)]);
}

/** An interface description (4.2). Interfaces count from 0, in the order of these. */
export function interfaceDescription({name, snapLength, comment}: {
	readonly name: string;
	/** Bytes that are kept of a frame at most; 0 is without a limit. */
	readonly snapLength: number;
	readonly comment?: string | undefined;
}): Buffer {
	const body = Buffer.alloc(8);
	body.writeUInt16LE(ethernet, 0);
	body.writeUInt32LE(snapLength, 4);
	return block(blockTypes.interface, body, [
		...(comment === undefined ? [] : [option(options.comment, comment)]),
		option(options.interface.name, name),
		option(options.interface.timeResolution, Uint8Array.of(microseconds)),
	]);
}

/** What is said of one frame. */
export interface PacketHead {
	/** Number of its interface. */
	readonly interface: number;
	/** Milliseconds since 1970. */
	readonly time: number;
	readonly direction: LinkDirection;
	/** Bytes that it had. */
	readonly length: number;
	/** A comment that was made ready by `packetComment`. */
	readonly comment?: Buffer | undefined;
}

/** A comment for many packets: `opt_comment` (3.5). */
export function packetComment(text: string): Buffer {
	return option(options.comment, text);
}

/** Bytes of a packet's block. */
export function packetBlockBytes(captured: number, comment?: Buffer): number {
	// Its flags are an option of 8 bytes, the end of options has 4, and the last length 4.
	return packetHeadBytes + padded(captured) + (comment?.length ?? 0) + 8 + 4 + 4;
}

/**
 * Writes an enhanced packet block (4.3) into a buffer that has room for it.
 *
 * @param source holds what was captured of the frame, from `start` to `end`
 * @returns where the block ends in `target`
 */
export function writePacketBlock(target: Buffer, begin: number, head: PacketHead, source: Buffer, start: number, end: number): number {
	const captured = end - start;
	const length = packetBlockBytes(captured, head.comment);
	target.writeUInt32LE(blockTypes.packet, begin);
	target.writeUInt32LE(length, begin + 4);
	target.writeUInt32LE(head.interface, begin + 8);
	writeTimestamp(target, begin + 12, head.time);
	target.writeUInt32LE(captured, begin + 20);
	target.writeUInt32LE(head.length, begin + 24);
	let at = begin + packetHeadBytes;
	target.set(source.subarray(start, end), at);
	target.fill(0, at + captured, at + padded(captured));
	at += padded(captured);
	target.writeUInt16LE(options.packet.flags, at);
	target.writeUInt16LE(4, at + 2);
	target.writeUInt32LE(directionFlags[head.direction], at + 4);
	at += 8;
	if (head.comment !== undefined) {
		target.set(head.comment, at);
		at += head.comment.length;
	}

	target.writeUInt32LE(0, at);
	target.writeUInt32LE(length, at + 4);
	return at + 8;
}

/** What became of an interface's frames. */
export interface InterfaceStatistics {
	readonly interface: number;
	/** Milliseconds since 1970: the capture has all that crossed between these, but for what was dropped. */
	readonly startTime: number;
	readonly endTime: number;
	/** Frames that crossed it. */
	readonly received: number;
	/** Those that the capture had to leave out. */
	readonly dropped: number;
}

/** An interface statistics block (4.6). */
export function interfaceStatistics({interface: number, startTime, endTime, received, dropped}: InterfaceStatistics): Buffer {
	const body = Buffer.alloc(12);
	body.writeUInt32LE(number, 0);
	writeTimestamp(body, 4, endTime);
	return block(blockTypes.statistics, body, [
		option(options.statistics.startTime, timestamp(startTime)),
		option(options.statistics.endTime, timestamp(endTime)),
		option(options.statistics.received, counter(received)),
		option(options.statistics.dropped, counter(dropped)),
	]);
}
