/** A lab's folder: whoever has it owns the lab and its name. It comes and goes by a rename, so that it is never there by half. */
import {readFile, rename, rm} from 'node:fs/promises';
import path from 'node:path';
import {identify, type ProcessIdentity} from '../host/process.ts';

/** Beginnings of the names of folders that come into being, and of those that go. */
export const passingFolders = {coming: '.claim-', going: '.gone-'} as const;

/** This very process. Its marker is its whole command line. */
export async function identifySelf(): Promise<ProcessIdentity> {
	const commandLine = (await readFile('/proc/self/cmdline', 'utf8')).replaceAll('\0', ' ').trim();
	return identify(process.pid, commandLine);
}

/** Removes a lab's folder with all that is in it. Its name is free at once; one that is gone already is fine. */
export async function removeLabFolder(folder: string): Promise<void> {
	const going = path.join(path.dirname(folder), `${passingFolders.going}${path.basename(folder)}-${process.pid}-${performance.now()}`);
	try {
		await rename(folder, going);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
			return;
		}

		throw error;
	}

	await rm(going, {recursive: true, force: true, maxRetries: 3});
}
