/** What is kept of a lab whose supervisor was lost, when all else of it is cleared: why it was lost can only be found there. */
import {access, copyFile} from 'node:fs/promises';
import path from 'node:path';
import {folders} from '../host/folder.ts';
import {cutPartOf} from './console-limit.ts';
import {consoleLogOf, tailOf} from './console-tail.ts';
import {emptyEvidenceFolder} from './evidence.ts';
import type {LabRecord} from './lab-record.ts';

/** What a supervisor writes on its standard error, relative to the lab's folder. */
export const supervisorLog = 'supervisor.log';

/** Where the evidence of a lab of `vmlab up` is, when the lab itself is gone. */
export function evidenceFolderOf(lab: string): string {
	return path.join(folders().state, 'evidence', lab);
}

/** Where those of one that was lost are, beside what it left before. */
function lostFolderOf(lab: string): string {
	return path.join(evidenceFolderOf(lab), 'lost');
}

/**
 * Keeps the logs of a lab that is about to be cleared: the supervisor's, the events, the machines' consoles. A lab without a supervisor of its own has
 * none: whoever ran it had its events.
 */
export async function keepLastWords(folder: string, record: LabRecord | undefined): Promise<void> {
	const [target, log] = [lostFolderOf(path.basename(folder)), path.join(folder, supervisorLog)];
	if (!(await access(log).then(() => true, () => false))) {
		return;
	}

	await emptyEvidenceFolder(target);
	await copyFile(log, path.join(target, supervisorLog));

	const consoles = (record?.machines ?? []).flatMap(({name}) => {
		const [from, to] = [path.join(folder, consoleLogOf(name)), path.join(target, `${path.basename(name)}.console.log`)];
		return [{from, to}, {from: cutPartOf(from), to: cutPartOf(to)}];
	});
	await Promise.all([{from: path.join(folder, 'events.jsonl'), to: path.join(target, 'events.jsonl')}, ...consoles]
		// What is not there was never written.
		.map(async ({from, to}) => copyFile(from, to).catch(() => {})));
}

/** Why a lab was cleared, for people, and where its logs are; undefined where there are none. */
export async function tellLastWords(lab: string): Promise<{readonly details: readonly string[]; readonly log: string} | undefined> {
	const log = path.join(lostFolderOf(lab), supervisorLog);
	try {
		await access(log);
	} catch {
		return undefined;
	}

	const lines = await tailOf(log);
	return {
		details: ['It did, until its supervisor was lost. What was left of it is cleared now.', ...(lines.length === 0 ? [] : ['the end of the supervisor\'s log:', ...lines])],
		log: path.dirname(log),
	};
}
