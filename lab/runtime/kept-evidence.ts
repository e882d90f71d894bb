/** What a lab that failed leaves behind: its evidence, and its failure with the log where that is then. */
import path from 'node:path';
import type {EventSink} from '../event/event.ts';
import {asLabError, type LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {countEvidence, emptyEvidenceFolder} from './evidence.ts';
import type {Lab} from './lab.ts';

/** Where evidence is kept, and for whom. */
export interface EvidencePlace {
	/** What was there before is removed. Undefined where none is wanted: the logs of a lab go with it then. */
	readonly folder: string | undefined;
	/** The scenario, or the lab where there is none, that it is told of. */
	readonly scenario: string;
	readonly events: EventSink;
}

/**
 * Keeps the evidence of a lab that failed. Does not throw: a folder that cannot be written is no reason to hide why the lab failed.
 *
 * @param lab its folder, and what writes the evidence into an empty folder; undefined where no machine ran
 * @returns the failure, which names the log of the lab's folder where that is when the lab is gone
 */
export async function keepEvidence(thrown: unknown, lab: {readonly folder: string; collect: ((target: string) => Promise<unknown>) | undefined}, {folder, scenario, events}: EvidencePlace): Promise<LabError> {
	const error = asLabError(thrown);
	if (folder !== undefined && lab.collect !== undefined) {
		try {
			await emptyEvidenceFolder(folder);
			await lab.collect(folder);
			events({type: 'evidence', scenario, path: folder, files: await countEvidence(folder)});
		} catch {
			// Said above.
		}
	}

	return failure.withLog(error, movedLog(error.log, lab.folder, folder));
}

/**
 * Uses a lab that runs; when that fails, its evidence is kept, unless it failed because nobody wants it any more.
 *
 * @throws what `use` threw, as `keepEvidence` gives it
 */
export async function withEvidence<Value>(lab: Pick<Lab, 'folder' | 'collectEvidence'>, place: EvidencePlace, signal: AbortSignal, use: () => Promise<Value>): Promise<Value> {
	try {
		return await use();
	} catch (error) {
		throw await keepEvidence(signal.aborted ? signal.reason : error, {folder: lab.folder, collect: signal.aborted ? undefined : async (target) => lab.collectEvidence(target, signal)}, place);
	}
}

/** Where a log that was in the lab's folder is when the lab is gone: with the evidence, or nowhere. */
function movedLog(log: string | undefined, folder: string, evidence: string | undefined): string | undefined {
	if (log === undefined || !log.startsWith(`${folder}${path.sep}`)) {
		return log;
	}

	return evidence === undefined ? undefined : path.join(evidence, path.relative(folder, log));
}
