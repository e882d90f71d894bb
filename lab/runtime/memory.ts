/**
 * Where the machines' memory is: in files, so that a lab can be frozen; in /dev/shm where that has room, so that the kernel
 * does not write it to a disk meanwhile. A page that finds no room ends QEMU with SIGBUS (mmap(2)), so room is looked for
 * beforehand.
 */
import {mkdir, open, readdir, rm, stat, statfs, symlink} from 'node:fs/promises';
import {userInfo} from 'node:os';
import path from 'node:path';
import {digestOf} from '../host/digest.ts';
import {failure} from '../host/failure.ts';

const sharedMemory = '/dev/shm';
const mebibyte = 1024 ** 2;

/** In a lab's memory folder: a link to the folder of the lab, for those who clear up. */
export const ownerLink = 'lab';

/** What the names of our memory folders in /dev/shm begin with. */
export function memoryFolderPrefix(): string {
	return `vmlab-${userInfo().uid}-`;
}

/** The folder in shared memory for a lab. Labs of one name in different state folders have different ones. */
export function memoryFolderOf(labFolder: string, shared = sharedMemory): string {
	return path.join(shared, `${memoryFolderPrefix()}${path.basename(labFolder)}-${digestOf(labFolder).slice(0, 8)}`);
}

/** Bytes that a filesystem has room for, what was promised to others taken off: their files are sparse, and fill up later. */
async function roomIn(folder: string, promised: number): Promise<number> {
	const {bavail, bsize} = await statfs(folder).catch(() => ({bavail: 0, bsize: 0}));
	return bavail * bsize - promised;
}

async function promisedIn(shared: string): Promise<number> {
	const names = (await readdir(shared).catch(() => [])).filter((name) => name.startsWith('vmlab-'));
	const files = await Promise.all(names.map(async (name) => readdir(path.join(shared, name)).then((inside) => inside.map((file) => path.join(shared, name, file)), () => [])));
	const missing = await Promise.all(files.flat().map(async (file) => stat(file).then(({size, blocks}) => Math.max(0, size - blocks * 512), () => 0)));
	return missing.reduce((sum, bytes) => sum + bytes, 0);
}

/** A machine and its memory in bytes. */
export interface MachineMemory {
	readonly name: string;
	readonly memory: number;
}

/**
 * Decides where the memory of a lab's machines goes.
 *
 * @param shared another folder than /dev/shm, for tests
 * @returns the folder; nothing is created
 * @throws `no-room-for-memory`
 */
export async function chooseMemoryFolder(labFolder: string, machines: readonly MachineMemory[], shared = sharedMemory): Promise<string> {
	const needed = machines.reduce((sum, {memory}) => sum + memory, 0);
	const places = [
		{folder: memoryFolderOf(labFolder, shared), in: shared, room: await roomIn(shared, await promisedIn(shared))},
		{folder: labFolder, in: path.dirname(labFolder), room: await roomIn(labFolder, 0)},
	];
	const place = places.find(({room}) => room >= needed);
	if (place === undefined) {
		const shown = (bytes: number): string => `${Math.max(0, Math.floor(bytes / mebibyte))} MiB`;
		throw failure.noRoomForMemory(shown(needed), places.map(({in: where, room}) => `${where} has ${shown(room)}`));
	}

	return place.folder;
}

/**
 * Makes the memory folder and a sparse file for each machine in it, which from then on counts as promised.
 *
 * @returns machine name -> file
 */
export async function createMemory(folder: string, labFolder: string, machines: readonly MachineMemory[]): Promise<Map<string, string>> {
	if (folder !== labFolder) {
		// What has this name was made for this very lab folder, and that is ours now: it is left over.
		await rm(folder, {recursive: true, force: true});
		await mkdir(folder, {mode: 0o700});
		await symlink(labFolder, path.join(folder, ownerLink));
	}

	const files = new Map<string, string>();
	for (const {name, memory} of machines) {
		const file = folder === labFolder ? path.join(folder, name, 'memory') : path.join(folder, name);
		const handle = await open(file, 'wx', 0o600);
		try {
			await handle.truncate(memory);
		} finally {
			await handle.close();
		}

		files.set(name, file);
	}

	return files;
}
