/** A lab that several commands may want up at once: one of them starts it. */
import {LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {runningLabs} from './lab-choice.ts';

/**
 * Starts a lab, unless one of that name is up or being started.
 *
 * @returns what is to be said where it is somebody else's doing that there is one
 * @throws what `start` throws; `lab-runs` where the one that there is has failed, or ends
 */
export async function startOnce(name: string, start: () => Promise<void>): Promise<string | undefined> {
	const before = await findOther(name);
	if (before !== undefined) {
		return before;
	}

	try {
		await start();
		return undefined;
	} catch (error) {
		// A name is taken when all is built, which takes a while: another command may have been sooner.
		const other = error instanceof LabError && error.code === 'lab-runs' ? await findOther(name) : undefined;
		if (other === undefined) {
			throw error;
		}

		return other;
	}
}

/** What is to be said of a lab that is there already. */
async function findOther(name: string): Promise<string | undefined> {
	const lab = (await runningLabs()).find((candidate) => candidate.name === name);
	if (lab?.state === 'failed' || lab?.state === 'stopping') {
		throw failure.labRuns(name, lab.state);
	}

	return lab && (lab.state === 'ready' ? `The lab ${name} is up already.` : `The lab ${name} is being started by another command.`);
}
