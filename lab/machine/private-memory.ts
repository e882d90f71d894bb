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
/** Pages are copied in pieces of this many at most: 4 MiB. */
const piecePages = 1024;
/** So many pages between two runs are read along with them. */
const widestGap = 16;

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

/** Pages that are copied together, as they lie in a mapping: with what lies between them, where that is little. Pages. */
export interface Span {
	readonly first: number;
	readonly count: number;
	/** The pages of it that are wanted. */
	readonly runs: ReadonlyArray<{readonly first: number; readonly count: number}>;
}

/** Joins runs that lie close together, up to the size of a piece: to read a few pages more is quicker than to read twice. */
export function spansOf(runs: ReadonlyArray<{readonly first: number; readonly count: number}>): Span[] {
	const spans: Array<{first: number; count: number; runs: Array<{first: number; count: number}>}> = [];
	for (let {first, count} of runs) {
		while (count > 0) {
			const last = spans.at(-1);
			const joins = last !== undefined && first - (last.first + last.count) <= widestGap && first - last.first < piecePages;
			const span = joins ? last : {first, count: 0, runs: []};
			if (!joins) {
				spans.push(span);
			}

			const taken = Math.min(count, span.first + piecePages - first);
			span.runs.push({first, count: taken});
			span.count = first + taken - span.first;
			first += taken;
			count -= taken;
		}
	}

	return spans;
}

/** Pages of a process as they were at one moment: in memory, and what was too much for that in a file. Bytes. */
export interface TakenPages {
	/** Where they belong; those without content are in the file, in this order. */
	readonly pieces: ReadonlyArray<{readonly offset: number; readonly bytes: number; readonly content?: Buffer}>;
	readonly overflow: string;
}

/**
 * Takes the pages that a stopped process has of its own in its private mapping of a file.
 *
 * @param room how much may be taken into memory, in bytes: the process stands still meanwhile, and memory is many times quicker than a disk
 * @param overflow the file for the rest; written only where there is any, and not there yet
 * @throws `machine-broke` when the process has no such mapping, the system's error when its memory may not be read (ptrace(2))
 */
export async function takeOwnPages(pid: number, file: string, {room, overflow}: {room: number; overflow: string}): Promise<TakenPages> {
	// The kernel tells where a file really is.
	const mappings = privateMappings(await readFile(`/proc/${pid}/maps`, 'utf8'), await realpath(file));
	if (mappings.length === 0) {
		throw failure.machineBroke(`process ${pid}`, `it does not map ${file}`);
	}

	return withFiles([[`/proc/${pid}/pagemap`, 'r'], [`/proc/${pid}/mem`, 'r']], async ([map, memory]) => {
		const pieces: Array<{offset: number; bytes: number; content?: Buffer}> = [];
		let left = room;
		let rest: FileHandle | undefined;
		try {
			for (const {address, offset, bytes} of mappings) {
				const entries = Buffer.alloc((bytes / pageBytes) * entryBytes);
				await readWhole(map!, entries, (address / pageBytes) * entryBytes);
				for (const {first, count, runs} of spansOf(ownPages(entries))) {
					const content = Buffer.allocUnsafeSlow(count * pageBytes);
					await readWhole(memory!, content, address + first * pageBytes);
					const fits = content.length <= left;
					left -= fits ? content.length : 0;
					for (const run of runs) {
						const [begin, end] = [(run.first - first) * pageBytes, (run.first + run.count - first) * pageBytes];
						const piece = {offset: offset + run.first * pageBytes, bytes: end - begin};
						if (fits) {
							pieces.push({...piece, content: content.subarray(begin, end)});
						} else {
							rest ??= await open(overflow, 'wx', 0o600);
							await rest.write(content, begin, end - begin);
							pieces.push(piece);
						}
					}
				}
			}
		} finally {
			await rest?.close();
		}

		return {pieces, overflow};
	});
}

/** Puts pages that were taken where they belong in a file. Throws when what was written of them is not whole. */
export async function putPages({pieces, overflow}: TakenPages, target: string): Promise<void> {
	const hasRest = pieces.some(({content}) => content === undefined);
	await withFiles([[target, 'r+'], ...(hasRest ? [[overflow, 'r'] as const] : [])], async ([out, rest]) => {
		let at = 0;
		for (const {offset, bytes, content} of pieces) {
			let whole = content;
			if (whole === undefined) {
				whole = Buffer.allocUnsafe(bytes);
				await readWhole(rest!, whole, at);
				at += bytes;
			}

			await out!.write(whole, 0, bytes, offset);
		}
	});
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
