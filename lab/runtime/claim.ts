/**
 * Taking a lab's name. A lab's folder comes into being with its record in it, by one rename, so that of two who want a name
 * exactly one gets it, and nobody ever sees a folder without a record.
 */
import {mkdir, mkdtemp, rename, rm} from 'node:fs/promises';
import path from 'node:path';
import {failure} from '../host/failure.ts';
import {labFolder} from '../host/folder.ts';
import {isAlive} from '../host/process.ts';
import {identifySelf, passingFolders} from './lab-folder.ts';
import {checkLabName, type LabRecord, newRecord, readRecord, writeRecord} from './lab-record.ts';
import {labsFolder} from './labs.ts';
import {clearDeadLabs} from './reaper.ts';

/** A lab that is ours now: its name is taken, and nothing else of it is there yet. */
export interface LabClaim {
	readonly folder: string;
	readonly record: LabRecord;
}

/**
 * Takes a name for a new lab. The owner is this process, until another one takes over.
 *
 * @throws `usage` for a bad name, `lab-runs` when a lab of that name lives
 */
export async function claimLab(lab: {name: string; scenario?: string | undefined; makes?: string | undefined; labKey: string}): Promise<LabClaim> {
	checkLabName(lab.name);
	const folder = labFolder(lab.name);
	const record = newRecord({...lab, supervisor: await identifySelf()});
	await mkdir(labsFolder(), {recursive: true, mode: 0o700});
	// The process id is in its name for those who clear up: without its process it is nobody's.
	const coming = await mkdtemp(path.join(labsFolder(), `${passingFolders.coming}${process.pid}-`));
	try {
		await writeRecord(coming, record);
		if (await takePlace(coming, folder)) {
			return {folder, record};
		}

		const other = await readRecord(folder);
		if (other === undefined || !(await isAlive(other.supervisor))) {
			await clearDeadLabs();
			if (await takePlace(coming, folder)) {
				return {folder, record};
			}
		}

		throw failure.labRuns(lab.name, other?.state ?? 'starting');
	} finally {
		await rm(coming, {recursive: true, force: true});
	}
}

/** Renames a folder to a place that is free. An empty folder there counts as free: rename(2). */
async function takePlace(coming: string, folder: string): Promise<boolean> {
	try {
		await rename(coming, folder);
		return true;
	} catch (error) {
		if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) {
			return false;
		}

		throw error;
	}
}
