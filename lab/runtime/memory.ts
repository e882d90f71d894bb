/**
 * Where the machines' memory is: in files, so that a lab can be frozen; in /dev/shm where that has room, so that the kernel
 * does not write it to a disk meanwhile. A page that finds no room ends QEMU with SIGBUS (mmap(2)), so room is looked for
 * beforehand.
 */
import {mkdtemp, open, readdir, readlink, rename, rm, stat, statfs, symlink} from 'node:fs/promises';
import {userInfo} from 'node:os';
import path from 'node:path';
import {digestOf} from '../host/digest.ts';
import {failure} from '../host/failure.ts';
import {withLock} from '../host/lock.ts';
import {hasProcess} from '../host/process.ts';

const sharedMemory = '/dev/shm';
const mebibyte = 1024 ** 2;

/** In a lab's memory folder: a link to the folder of the lab, for those who clear up. */
export const ownerLink = 'lab';

/** What the names of our memory folders in /dev/shm begin with. */
export function memoryFolderPrefix(): string {
	return `vmlab-${userInfo().uid}-`;
}

/** What the names of those begin with that come into being. */
function comingPrefix(): string {
	return `.${memoryFolderPrefix()}`;
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

/** Bytes that the memory of labs will still take in shared memory. */
async function promisedIn(shared: string): Promise<number> {
	const folders = (await namesIn(shared)).filter((name) => name.startsWith('vmlab-')).map((name) => path.join(shared, name));
	const files = await Promise.all(folders.map(async (folder) => (await namesIn(folder)).map((file) => path.join(folder, file))));
	return missingIn(files.flat());
}

/** Bytes that the memory of labs will still take in the folders of the labs themselves. */
async function promisedInLabs(labs: string): Promise<number> {
	const folders = (await namesIn(labs)).map((name) => path.join(labs, name));
	const files = await Promise.all(folders.map(async (folder) => (await namesIn(folder)).map((machine) => memoryIn(folder, machine))));
	return missingIn(files.flat());
}

/** A machine's memory where it is in the lab's folder. */
function memoryIn(labFolder: string, machine: string): string {
	return path.join(labFolder, machine, 'memory');
}

async function namesIn(folder: string): Promise<string[]> {
	return readdir(folder).catch(() => []);
}

/** Bytes that sparse files have not taken yet; a file that is not there takes none. */
async function missingIn(files: readonly string[]): Promise<number> {
	const missing = await Promise.all(files.map(async (file) => stat(file).then(({size, blocks}) => Math.max(0, size - blocks * 512), () => 0)));
	return missing.reduce((sum, bytes) => sum + bytes, 0);
}

/** A machine and its memory in bytes. */
export interface MachineMemory {
	readonly name: string;
	readonly memory: number;
}

/** The memory of a lab's machines. */
export interface LabMemory {
	/** Where it is: the lab's folder, or one of its own in shared memory. */
	readonly folder: string;
	/** Machine name -> file. */
	readonly files: ReadonlyMap<string, string>;
}

/** What `reserveMemory` may be told beside the machines. */
export interface MemoryOptions {
	/** Another folder than /dev/shm, for tests. */
	readonly shared?: string;
	readonly signal?: AbortSignal | undefined;
}

/**
 * Decides where the memory of a lab's machines goes, and makes a sparse file there for each, which from then on counts as
 * promised. One lab at a time, so that no two take the same room. In the lab's folder each machine must have its own already.
 *
 * @throws `no-room-for-memory`; then nothing was made
 */
export async function reserveMemory(labFolder: string, machines: readonly MachineMemory[], options: MemoryOptions = {}): Promise<LabMemory> {
	const {shared = sharedMemory, signal} = options;
	const reserve = async (): Promise<LabMemory> => {
		const folder = await chooseFolder(labFolder, machines, shared);
		if (folder === labFolder) {
			return {folder, files: await createFiles(machines, (name) => memoryIn(folder, name))};
		}

		await createFolder(folder, labFolder, machines);
		return {folder, files: new Map(machines.map(({name}) => [name, path.join(folder, name)]))};
	};

	// The lock of the folder itself: it is the same for all labs of this computer, and leaves no file. Without it there is only the room beside the labs.
	return withLock(await isFolder(shared) ? shared : path.dirname(labFolder), reserve, {signal});
}

async function isFolder(place: string): Promise<boolean> {
	return stat(place).then((found) => found.isDirectory(), () => false);
}

async function chooseFolder(labFolder: string, machines: readonly MachineMemory[], shared: string): Promise<string> {
	const needed = machines.reduce((sum, {memory}) => sum + memory, 0);
	const labs = path.dirname(labFolder);
	const places = [
		{folder: memoryFolderOf(labFolder, shared), in: shared, room: await roomIn(shared, await promisedIn(shared))},
		{folder: labFolder, in: labs, room: await roomIn(labFolder, await promisedInLabs(labs))},
	];
	const place = places.find(({room}) => room >= needed);
	if (place === undefined) {
		const shown = (bytes: number): string => `${Math.max(0, Math.floor(bytes / mebibyte))} MiB`;
		throw failure.noRoomForMemory(shown(needed), places.map(({in: where, room}) => `${where} has ${shown(room)}`));
	}

	return place.folder;
}

/** A folder in shared memory, which has the link to its lab and all files from the moment on that it is there. */
async function createFolder(folder: string, labFolder: string, machines: readonly MachineMemory[]): Promise<void> {
	// The process id is in its name for those who clear up: without its process it is nobody's.
	const coming = await mkdtemp(path.join(path.dirname(folder), `${comingPrefix()}${process.pid}-`));
	try {
		await symlink(labFolder, path.join(coming, ownerLink));
		await createFiles(machines, (name) => path.join(coming, name));
		// What has this name was made for this very lab folder, and that is ours now: it is left over.
		await rm(folder, {recursive: true, force: true});
		await rename(coming, folder);
	} finally {
		await rm(coming, {recursive: true, force: true});
	}
}

async function createFiles(machines: readonly MachineMemory[], place: (machine: string) => string): Promise<Map<string, string>> {
	const files = new Map<string, string>();
	for (const {name, memory} of machines) {
		const file = place(name);
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

/**
 * Our memory folders that belong to no lab: the lab's folder is gone, or whoever made them died over it.
 *
 * @param shared another folder than /dev/shm, for tests
 */
export async function strayMemory(shared = sharedMemory): Promise<string[]> {
	const names = await readdir(shared).catch(() => []);
	const stray = await Promise.all(names.map(async (name) => {
		const folder = path.join(shared, name);
		const coming = name.startsWith(comingPrefix());
		if (!coming && !name.startsWith(memoryFolderPrefix())) {
			return undefined;
		}

		const owned = await stat(folder).then(({uid}) => uid === userInfo().uid, () => false);
		const held = coming ? await hasProcess(Number(name.slice(comingPrefix().length).split('-')[0])) : await hasLab(folder);
		return owned && !held ? folder : undefined;
	}));
	return stray.filter((folder) => folder !== undefined);
}

async function hasLab(folder: string): Promise<boolean> {
	const lab = await readlink(path.join(folder, ownerLink)).catch(() => undefined);
	return lab !== undefined && stat(lab).then(() => true, () => false);
}
