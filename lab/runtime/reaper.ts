/**
 * Clears what dead labs left. A lab is dead when the process that owned it is: its machines died with it, and what still has
 * to go is files. Called at the start of every command that deals with labs.
 */
import {readdir, rm, stat} from 'node:fs/promises';
import path from 'node:path';
import {folders} from '../host/folder.ts';
import {withLock} from '../host/lock.ts';
import {endProcess, hasProcess, isAlive} from '../host/process.ts';
import {passingFolders, removeLabFolder} from './lab-folder.ts';
import {readForeignOwner, readRecord} from './lab-record.ts';
import {labFolderNames, labsFolder} from './labs.ts';
import {keepLastWords} from './last-words.ts';
import {memoryFolderPrefix, strayMemory} from './memory.ts';

/**
 * Clears what is left of dead labs: processes that are provably theirs, memory, folders, stages that they were making. Of those that a supervisor held its last words are kept.
 *
 * @param shared another folder than /dev/shm, for tests
 * @returns the names of the labs
 */
export async function clearDeadLabs(shared = '/dev/shm'): Promise<string[]> {
	const names = await labFolderNames();
	const dead = await Promise.all(names.map(async (name) => isDead(path.join(labsFolder(), name))));
	const [passing, memory] = await Promise.all([strayPassing(), strayMemory(shared)]);
	if (!dead.includes(true) && passing.length === 0 && memory.length === 0) {
		return [];
	}

	// One at a time, so that nobody clears by an old observation what is a new lab by now.
	return withLock(path.join(folders().state, 'reaper.lock'), async () => {
		const cleared: string[] = [];
		for (const name of names) {
			const folder = path.join(labsFolder(), name);
			if (await isDead(folder)) {
				await clear(folder, shared);
				cleared.push(name);
			}
		}

		// Looked at once more: since then a new lab may have taken a name.
		for (const folder of [...await strayPassing(), ...await strayMemory(shared)]) {
			await rm(folder, {recursive: true, force: true});
		}

		if (cleared.length > 0) {
			// One that was being frozen was making a stage. A cache that cannot be cleared hinders nobody here: who uses it is told.
			const {openStore} = await import('../store/open-store.ts');
			await openStore().catch(() => {});
		}

		return cleared;
	});
}

/** Is it the folder of a lab whose owner is dead? One that is gone is not, and one whose owner nobody here can tell neither. */
async function isDead(folder: string): Promise<boolean> {
	const record = await readRecord(folder);
	const owner = record === undefined ? await readForeignOwner(folder) : record.supervisor;
	if (owner !== undefined) {
		return owner !== null && !(await isAlive(owner));
	}

	return stat(folder).then(() => true, () => false);
}

async function clear(folder: string, shared: string): Promise<void> {
	const record = await readRecord(folder);
	for (const machine of record?.machines ?? []) {
		if (machine.process !== undefined) {
			await endProcess(machine.process, {grace: 0});
		}
	}

	const memory = record?.memoryFolder;
	// A record is a file that anybody of this user can write: nothing is removed that cannot be a lab's memory.
	if (memory !== undefined && path.dirname(memory) === path.resolve(shared) && path.basename(memory).startsWith(memoryFolderPrefix())) {
		await rm(memory, {recursive: true, force: true});
	}

	// A disk that is full is no reason to keep the rest.
	await keepLastWords(folder, record).catch(() => {});
	await removeLabFolder(folder);
}

/** Folders that came into being or went when their process died. */
async function strayPassing(): Promise<string[]> {
	const names = await readdir(labsFolder()).catch(() => []);
	const stray = await Promise.all(names.map(async (name) => {
		const pid = name.startsWith(passingFolders.coming) ? /^\.claim-(\d+)-/.exec(name)?.[1]
			: name.startsWith(passingFolders.going) ? /^\.gone-.*-(\d+)-[\d.]+$/.exec(name)?.[1] : undefined;
		const running = pid !== undefined && await hasProcess(Number(pid));
		return (name.startsWith(passingFolders.coming) || name.startsWith(passingFolders.going)) && !running ? path.join(labsFolder(), name) : undefined;
	}));
	return stray.filter((folder) => folder !== undefined);
}
