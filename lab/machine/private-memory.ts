/**
 * The memory of a fork: a file that its QEMU maps privately, and pages of its own where the machine wrote since. QEMU could give it away only as
 * a stream of all pages; the kernel tells which pages are the process's own (/proc/PID/pagemap, proc(5)) and gives them
 * (/proc/PID/mem), and so only these are copied.
 */
import {readSync} from 'node:fs';
import {type FileHandle, open, readFile, realpath} from 'node:fs/promises';
import {failure} from '../host/failure.ts';

const pageBytes = 4096;
/** /proc/PID/pagemap, 64 bits for each page: present (63), swapped out (62), a page of the file or shared (61). */
const entryBytes = 8;
const presentBits = 0xC0;
const fileBit = 0x20;
/** Pages are copied in pieces of this many at most: 4 MiB. */
const piecePages = 1024;
/** Room is made in parts of this many bytes. */
const partBytes = 64 * 1024 ** 2;

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

/**
 * Runs of pages as they are copied: none beyond 4 MiB. What lies between two runs is never read along with them, however little it is: it is still in
 * the file alone, and perhaps on the disk.
 */
export function piecesOf(runs: ReadonlyArray<{readonly first: number; readonly count: number}>): Array<{first: number; count: number}> {
	return runs.flatMap(({first, count}) => Array.from({length: Math.ceil(count / piecePages)}, (_, index) => ({
		first: first + index * piecePages, count: Math.min(piecePages, count - index * piecePages),
	})));
}

/** Memory of ours that pages of a process are copied to. */
export interface Room {
	/** A part of it that nobody has yet, or undefined when it is used up. Bytes, at most 64 MiB. */
	take(bytes: number): Buffer | undefined;
}

/**
 * Makes room for the pages that a process has of its own now, and for more when it is asked for. What is made now is touched as well: the kernel gives
 * memory page by page, each filled with zeros first, and that takes longer than the copying, for which a machine stands still.
 *
 * @param most bytes that may be used in all
 * @throws like `takeOwnPages`
 */
export async function makeRoom(pid: number, file: string, most: number): Promise<Room> {
	const parts: Buffer[] = [];
	let left = most;
	const addPart = (): Buffer => {
		const part = Buffer.allocUnsafeSlow(Math.min(partBytes, left));
		left -= part.length;
		return part;
	};

	const likely = (await readOwnPages(pid, file)).flatMap(({ranges}) => ranges).reduce((sum, {count}) => sum + count, 0) * pageBytes;
	for (let made = 0; made < likely && left > 0; made += partBytes) {
		// Others have a turn in between.
		await new Promise((resolve) => {
			setImmediate(resolve);
		});
		parts.push(addPart().fill(0));
	}

	let used = 0;
	return {
		take(bytes) {
			while (parts[0] === undefined || parts[0].length - used < bytes) {
				parts.shift();
				used = 0;
				if (parts.length === 0) {
					if (left < bytes) {
						return undefined;
					}

					parts.push(addPart());
				}
			}

			used += bytes;
			return parts[0].subarray(used - bytes, used);
		},
	};
}

/** The pages that a process has of its own in its private mappings of a file. */
async function readOwnPages(pid: number, file: string): Promise<Array<{mapping: Mapping; ranges: Array<{first: number; count: number}>}>> {
	// The kernel tells where a file really is.
	const mappings = privateMappings(await readFile(`/proc/${pid}/maps`, 'utf8'), await realpath(file));
	if (mappings.length === 0) {
		throw failure.machineBroke(`process ${pid}`, `it does not map ${file}`);
	}

	return withFiles([[`/proc/${pid}/pagemap`, 'r']], async ([map]) => {
		const own = [];
		for (const mapping of mappings) {
			const entries = Buffer.alloc((mapping.bytes / pageBytes) * entryBytes);
			await readWhole(map!, entries, (mapping.address / pageBytes) * entryBytes);
			own.push({mapping, ranges: ownPages(entries)});
		}

		return own;
	});
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
 * @param room where they are copied to: memory is many times quicker than a disk
 * @param overflow the file for what finds no room; written only where there is any, and not there yet
 * @throws `machine-broke` when the process has no such mapping, the system's error when its memory may not be read (ptrace(2))
 */
export async function takeOwnPages(pid: number, file: string, {room, overflow}: {room: Room; overflow: string}): Promise<TakenPages> {
	const own = await readOwnPages(pid, file);
	return withFiles([[`/proc/${pid}/mem`, 'r']], async ([memory]) => {
		const pieces: Array<{offset: number; bytes: number; content?: Buffer}> = [];
		let rest: FileHandle | undefined;
		try {
			for (const {mapping: {address, offset}, ranges} of own) {
				for (const {first, count} of piecesOf(ranges)) {
					const piece = {offset: offset + first * pageBytes, bytes: count * pageBytes};
					const place = room.take(piece.bytes);
					const content = place ?? Buffer.allocUnsafe(piece.bytes);
					readNow(memory!, content, address + first * pageBytes);
					if (place === undefined) {
						rest ??= await open(overflow, 'wx', 0o600);
						await writeWhole(rest, content, null);
					}

					pieces.push(place === undefined ? piece : {...piece, content: place});
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

			await writeWhole(out!, whole, offset);
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

/** Writes a buffer to a place of a file, or after what was written before: write(2) may take less than it is given when a disk fills up. */
async function writeWhole(file: FileHandle, buffer: Buffer, position: number | null): Promise<void> {
	for (let done = 0; done < buffer.length;) {
		const {bytesWritten} = await file.write(buffer, done, buffer.length - done, position === null ? null : position + done);
		done += bytesWritten;
	}
}

/**
 * Fills a buffer from a place of a process's memory, at once: there are thousands of such places, and to wait for each in turn takes many times longer than
 * the copying, for which a machine stands still.
 */
function readNow({fd}: FileHandle, buffer: Buffer, position: number): void {
	for (let filled = 0; filled < buffer.length;) {
		const read = readSync(fd, buffer, filled, buffer.length - filled, position + filled);
		if (read === 0) {
			throw new Error(`only ${filled} of ${buffer.length} bytes could be read at ${position}`);
		}

		filled += read;
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
