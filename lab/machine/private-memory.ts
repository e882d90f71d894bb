/**
 * The memory of a fork: a file that its QEMU maps privately, and pages of its own where the machine wrote since. QEMU could give it away only as
 * a stream of all pages; the kernel tells which pages are the process's own (/proc/PID/pagemap, proc(5)) and gives them
 * (/proc/PID/mem), and so only these are copied.
 */
import {type FileHandle, open, readFile, realpath} from 'node:fs/promises';
import {failure} from '../host/failure.ts';

const pageBytes = 4096;
/** /proc/PID/pagemap, 64 bits for each page: present (63), swapped out (62), a page of the file or shared (61). */
const entryBytes = 8;
const presentBits = 0xC0;
const fileBit = 0x20;
/** Pages are copied in pieces of this many bytes at most. */
const pieceBytes = 4 * 1024 ** 2;

/** A part of a file in the memory of a process. */
interface Mapping {
	/** Where it begins in the process, and in the file; bytes. */
	readonly address: number;
	readonly offset: number;
	readonly bytes: number;
}

/** The private, writable mappings of a file, from the text of /proc/PID/maps. */
export function privateMappings(maps: string, file: string): Mapping[] {
	return maps.split('\n').flatMap((line) => {
		const [, from, to, offset, name] = /^([\da-f]+)-([\da-f]+) rw.p ([\da-f]+) \S+ \d+\s+(.*)$/.exec(line) ?? [];
		if (from === undefined || to === undefined || offset === undefined || name !== file) {
			return [];
		}

		const address = Number.parseInt(from, 16);
		return [{address, offset: Number.parseInt(offset, 16), bytes: Number.parseInt(to, 16) - address}];
	});
}

/** Ranges of pages that are the process's own, from the entries of a mapping: first page and number. */
export function ownPages(entries: Buffer): Array<{first: number; count: number}> {
	const ranges: Array<{first: number; count: number}> = [];
	let current: {first: number; count: number} | undefined;
	for (let page = 0; page * entryBytes < entries.length; page++) {
		// The highest byte is the last one: the entries are little-endian.
		const flags = entries[page * entryBytes + entryBytes - 1]!;
		if ((flags & presentBits) === 0 || (flags & fileBit) !== 0) {
			current = undefined;
		} else if (current === undefined) {
			current = {first: page, count: 1};
			ranges.push(current);
		} else {
			current.count += 1;
		}
	}

	return ranges;
}

/** Pages of a process, packed into a file one after the other: where each run of them belongs. Bytes. */
export interface PackedPages {
	readonly file: string;
	readonly runs: ReadonlyArray<{readonly offset: number; readonly bytes: number}>;
}

/**
 * Packs the pages that a stopped process has of its own in its private mapping of a file.
 *
 * @param target a file that is not there yet
 * @throws `machine-broke` when the process has no such mapping, the system's error when its memory may not be read (ptrace(2))
 */
export async function packOwnPages(pid: number, file: string, target: string): Promise<PackedPages> {
	// The kernel tells where a file really is.
	const mappings = privateMappings(await readFile(`/proc/${pid}/maps`, 'utf8'), await realpath(file));
	if (mappings.length === 0) {
		throw failure.machineBroke(`process ${pid}`, `it does not map ${file}`);
	}

	return withFiles([[`/proc/${pid}/pagemap`, 'r'], [`/proc/${pid}/mem`, 'r'], [target, 'wx']], async ([map, memory, out]) => {
		const runs: Array<{offset: number; bytes: number}> = [];
		for (const {address, offset, bytes} of mappings) {
			const entries = Buffer.alloc((bytes / pageBytes) * entryBytes);
			await readWhole(map!, entries, (address / pageBytes) * entryBytes);
			for (const {first, count} of ownPages(entries)) {
				const run = {offset: offset + first * pageBytes, bytes: count * pageBytes};
				await eachPiece(run.bytes, async (piece, done) => {
					await readWhole(memory!, piece, address + first * pageBytes + done);
					await out!.write(piece);
				});
				runs.push(run);
			}
		}

		return {file: target, runs};
	});
}

/** Puts packed pages where they belong in a file. */
export async function unpackPages({file, runs}: PackedPages, target: string): Promise<void> {
	await withFiles([[file, 'r'], [target, 'r+']], async ([packed, out]) => {
		let at = 0;
		for (const {offset, bytes} of runs) {
			const begin = at;
			await eachPiece(bytes, async (piece, done) => {
				await readWhole(packed!, piece, begin + done);
				await out!.write(piece, 0, piece.length, offset + done);
			});
			at += bytes;
		}
	});
}

/** Calls `use` for so many bytes, in pieces of one buffer that is used again. */
async function eachPiece(bytes: number, use: (piece: Buffer, done: number) => Promise<void>): Promise<void> {
	const buffer = Buffer.allocUnsafe(Math.min(pieceBytes, bytes));
	for (let done = 0; done < bytes; done += pieceBytes) {
		await use(buffer.subarray(0, Math.min(pieceBytes, bytes - done)), done);
	}
}

async function withFiles<Value>(names: ReadonlyArray<readonly [name: string, flags: string]>, use: (files: FileHandle[]) => Promise<Value>): Promise<Value> {
	const files: FileHandle[] = [];
	try {
		for (const [name, flags] of names) {
			files.push(await open(name, flags, 0o600));
		}

		return await use(files);
	} finally {
		await Promise.all(files.map(async (file) => file.close()));
	}
}

/** Fills a buffer from a place of a file. */
async function readWhole(file: FileHandle, buffer: Buffer, position: number): Promise<void> {
	for (let filled = 0; filled < buffer.length;) {
		const {bytesRead} = await file.read(buffer, filled, buffer.length - filled, position + filled);
		if (bytesRead === 0) {
			throw new Error(`only ${filled} of ${buffer.length} bytes could be read at ${position}`);
		}

		filled += bytesRead;
	}
}
