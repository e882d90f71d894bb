/** Digests: SHA-256 in hex, of values, files and trees. */
import {createHash} from 'node:crypto';
import {lstat, open, readdir, readlink} from 'node:fs/promises';
import path from 'node:path';

/** Canonical JSON: keys sorted, undefined left out, so that equal values have one text. */
function canonical(value: unknown): string {
	return JSON.stringify(value, (_key, part: unknown) =>
		part !== null && typeof part === 'object' && !Array.isArray(part)
			? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
			: part) ?? 'undefined';
}

/** The digest of plain data. Two equal values have one digest, whatever the order of their keys. */
export function digestOf(value: unknown): string {
	return createHash('sha256').update(canonical(value)).digest('hex');
}

/** Bytes that are read at once at most. */
const pieceBytes = 1024 * 1024;

/** The digest of a file's bytes. It is read into one buffer: a stream makes a new one for each piece, which costs as much as to digest it. */
export async function digestFile(file: string): Promise<string> {
	const hash = createHash('sha256');
	const handle = await open(file);
	try {
		const buffer = Buffer.allocUnsafe(Math.min(pieceBytes, (await handle.stat()).size + 1));
		for (;;) {
			const {bytesRead} = await handle.read(buffer, 0, buffer.length, null);
			if (bytesRead === 0) {
				return hash.digest('hex');
			}

			hash.update(buffer.subarray(0, bytesRead));
		}
	} finally {
		await handle.close();
	}
}

/** One entry of a tree, its path relative to the tree. */
export interface DigestedEntry {
	readonly path: string;
	readonly kind: 'file' | 'folder' | 'link';
	/** Permission bits. */
	readonly mode: number;
	/** Hex sha256 of a file's bytes or of a link's target; '' for a folder. */
	readonly digest: string;
}

/** Everything below a folder, sorted by path. A folder that is not there is an empty tree; sockets and devices are left out. */
export async function digestTree(folder: string): Promise<DigestedEntry[]> {
	const entries = await readdir(folder, {recursive: true, withFileTypes: true}).catch((error: NodeJS.ErrnoException) => {
		if (error.code === 'ENOENT') {
			return [];
		}

		throw error;
	});
	const digested = await Promise.all(entries.map(async (entry): Promise<DigestedEntry | undefined> => {
		const file = path.join(entry.parentPath, entry.name);
		const relative = path.relative(folder, file);
		const mode = (await lstat(file)).mode & 0o7777;
		if (entry.isDirectory()) {
			return {path: relative, kind: 'folder', mode, digest: ''};
		}

		if (entry.isSymbolicLink()) {
			return {path: relative, kind: 'link', mode: 0o777, digest: createHash('sha256').update(await readlink(file)).digest('hex')};
		}

		return entry.isFile() ? {path: relative, kind: 'file', mode, digest: await digestFile(file)} : undefined;
	}));
	return digested.filter((entry) => entry !== undefined).sort((a, b) => (a.path < b.path ? -1 : 1));
}
