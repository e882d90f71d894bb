/** A lab that several commands may want up at once: one of them starts it. */
import {LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import type {LabRecord} from '../runtime/lab-record.ts';
import {runningLabs} from './lab-choice.ts';

/** The lab that is wanted. */
type Wanted = Pick<LabRecord, 'name' | 'labKey'>;

/**
 * Starts a lab, unless it is up or being started.
 *
 * @returns what is to be said where it is somebody else's doing that there is one
 * @throws what `start` throws; `lab-runs` where the one of that name has failed, or ends; `lab-differs` where it is made of something else
 */
export async function startOnce(wanted: Wanted, start: () => Promise<void>): Promise<string | undefined> {
	const before = await findOther(wanted);
	if (before !== undefined) {
		return before;
	}

	try {
		await start();
		return undefined;
	} catch (error) {
		// A name is taken when all is built, which takes a while: another command may have been sooner.
		const other = error instanceof LabError && error.code === 'lab-runs' ? await findOther(wanted) : undefined;
		if (other === undefined) {
			throw error;
		}

		return other;
	}
}

/** What is to be said of a lab that is there already. */
async function findOther({name, labKey}: Wanted): Promise<string | undefined> {
	const lab = (await runningLabs()).find((candidate) => candidate.name === name);
	if (lab?.state === 'failed' || lab?.state === 'stopping') {
		throw failure.labRuns(name, lab.state);
	}

	if (lab !== undefined && lab.labKey !== labKey) {
		throw failure.labDiffers(name, lab.scenario);
	}

	return lab && (lab.state === 'ready' ? `The lab ${name} is up already.` : `The lab ${name} is being started by another command.`);
}
