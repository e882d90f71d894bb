/** Digests: SHA-256 in hex, of values, files and trees. */
import {createHash} from 'node:crypto';
import {createReadStream} from 'node:fs';
import {lstat, readdir, readlink} from 'node:fs/promises';
import path from 'node:path';
import {pipeline} from 'node:stream/promises';

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

/** The digest of a file's bytes. */
export async function digestFile(file: string): Promise<string> {
	const hash = createHash('sha256');
	await pipeline(createReadStream(file, {highWaterMark: 1024 * 1024}), hash);
	return hash.digest('hex');
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
