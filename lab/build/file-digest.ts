/** Digests of big files that seldom change: computed once for each size, time and inode. */
import {mkdir, readFile, stat} from 'node:fs/promises';
import path from 'node:path';
import {digestFile} from '../host/digest.ts';
import {folders} from '../host/folder.ts';
import {writeFileWhole} from '../host/whole-file.ts';

/** Path -> what was known of the file when its digest was computed. */
type Known = Record<string, {size: string; time: string; inode: string; digest: string}>;

/** More entries than this are not kept; the oldest go. */
const mostKnown = 2000;

/**
 * The digests of files, hex sha256 by path; a file that is not there has none. What was computed is kept in the cache
 * folder: losing it costs only time, so that two writers may overwrite each other.
 */
export async function digestFiles(files: readonly string[]): Promise<ReadonlyMap<string, string>> {
	const store = path.join(folders().cache, 'file-digests.json');
	const known = files.length === 0 ? {} : await readKnown(store);
	const digests = new Map<string, string>();
	let fresh = false;
	for (const file of files) {
		const now = await stat(file, {bigint: true}).catch(() => undefined);
		if (!now?.isFile()) {
			continue;
		}

		const identity = {size: String(now.size), time: String(now.mtimeNs), inode: String(now.ino)};
		const before = known[file];
		const same = before !== undefined && before.size === identity.size && before.time === identity.time && before.inode === identity.inode;
		const digest = same ? before.digest : await digestFile(file);
		digests.set(file, digest);
		if (!same) {
			delete known[file];
			known[file] = {...identity, digest};
			fresh = true;
		}
	}

	if (fresh) {
		await mkdir(path.dirname(store), {recursive: true});
		await writeFileWhole(store, JSON.stringify(Object.fromEntries(Object.entries(known).slice(-mostKnown))), 0o644);
	}

	return digests;
}

async function readKnown(store: string): Promise<Known> {
	try {
		return JSON.parse(await readFile(store, 'utf8')) as Known;
	} catch {
		return {};
	}
}
