/** Where in a store things are made, so that what their maker leaves when it is killed is found: see `openStore`, which clears it. */
import {mkdir, mkdtemp} from 'node:fs/promises';
import path from 'node:path';
import {withLock} from '../host/lock.ts';
import {removeTree} from './seal.ts';

/** The lock of a name in a store: of a stage's key, or of what `withScratch` was told. */
export function lockOf(store: string, name: string): string {
	return path.join(store, 'locks', name);
}

/** The folder for what is being made. Names in it begin with that of a lock, up to a full stop: when nobody holds it, the maker is dead. */
export function scratchFolder(store: string): string {
	return path.join(store, 'scratch');
}

/** A fresh private folder (0700) for whoever holds the lock of the name. */
export async function makeScratch(store: string, name: string): Promise<string> {
	await mkdir(scratchFolder(store), {recursive: true});
	return mkdtemp(path.join(scratchFolder(store), `${name}.`));
}

/**
 * Gives `use` a fresh private folder (0700), which is removed with all its content afterwards; when this process is killed before that, by whoever
 * opens the store next. One at a time for each name, which has no full stop in it.
 *
 * @throws what `withLock` throws, the system's error where the store cannot be written to
 */
export async function withScratch<Value>(store: string, name: string, use: (folder: string) => Promise<Value>, signal?: AbortSignal): Promise<Value> {
	return withLock(lockOf(store, name), async () => {
		const folder = await makeScratch(store, name);
		try {
			return await use(folder);
		} finally {
			await removeTree(folder);
		}
	}, {signal});
}
