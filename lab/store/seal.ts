/** From a folder that was written to one that stays: on the disk for certain, and read-only. And its end. */
import {chmod, lstat, open, readdir, readFile, rm} from 'node:fs/promises';
import path from 'node:path';
import {run} from '../host/program.ts';

/** Waits until a file's or folder's content is on the disk (fsync(2)). */
export async function flush(file: string): Promise<void> {
	const handle = await open(file, 'r');
	try {
		await handle.sync();
	} finally {
		await handle.close();
	}
}

async function contents(folder: string): Promise<{files: string[]; folders: string[]}> {
	const entries = await readdir(folder, {recursive: true, withFileTypes: true});
	const pick = (wanted: 'isFile' | 'isDirectory'): string[] => entries.filter((entry) => entry[wanted]()).map((entry) => path.join(entry.parentPath, entry.name));
	return {files: pick('isFile'), folders: [...pick('isDirectory'), folder]};
}

/**
 * Takes the right to write away from all files in a folder, but for some (relative to it). Folders keep theirs: a cache is something that its owner can
 * remove with rm(1).
 */
export async function makeReadOnly(folder: string, but: readonly string[] = []): Promise<void> {
	const excepted = new Set(but.map((file) => path.join(folder, file)));
	for (const file of (await contents(folder)).files.filter((each) => !excepted.has(each))) {
		await chmod(file, (await lstat(file)).mode & 0o7555);
	}
}

/** Puts everything in a folder on the disk for certain. */
export async function flushTree(folder: string): Promise<void> {
	const {files, folders} = await contents(folder);
	for (const file of [...files, ...folders]) {
		await flush(file);
	}
}

/**
 * Removes a folder with all that is in it, read-only or not. What belongs to other ids of our user namespace (an image
 * builder that was killed leaves such files) is removed from inside such a namespace.
 */
export async function removeTree(folder: string): Promise<void> {
	await detachMounts(folder);
	const remove = async (): Promise<void> => rm(folder, {recursive: true, force: true, maxRetries: 5});
	const ways = [
		remove,
		async () => {
			await allowRemoval(folder);
			await remove();
		},
		async () => {
			await run('unshare', ['--user', '--map-root-user', '--map-auto', 'rm', '-rf', '--one-file-system', folder]);
		},
	];
	for (const way of ways) {
		try {
			await way();
			return;
		} catch (error) {
			if (way === ways.at(-1) || !['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) {
				throw error;
			}
		}
	}
}

/**
 * Unmounts what a builder that was killed left mounted below a folder: what is mounted there may be the host's own /dev, and
 * its files are nobody's to remove. Mount points are as proc(5) has them in mountinfo.
 */
async function detachMounts(folder: string): Promise<void> {
	const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')
		.map((line) => (line.split(' ')[4] ?? '').replaceAll(/\\(\d{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8))))
		.filter((point) => point.startsWith(`${folder}/`));
	for (const point of mounts.reverse()) {
		await run('umount', ['--lazy', point]);
	}
}

/** A file can be removed only from a folder that can be written to. */
async function allowRemoval(folder: string): Promise<void> {
	const entries = await readdir(folder, {withFileTypes: true}).catch((error: NodeJS.ErrnoException) => {
		if (error.code === 'ENOENT' || error.code === 'ENOTDIR') {
			return undefined;
		}

		throw error;
	});
	if (entries === undefined) {
		return;
	}

	const {mode} = await lstat(folder);
	if ((mode & 0o700) !== 0o700) {
		await chmod(folder, mode | 0o700);
	}

	for (const entry of entries) {
		if (entry.isDirectory()) {
			await allowRemoval(path.join(folder, entry.name));
		}
	}
}
