/** Why something was given up. */
import {LabError} from './error.ts';
import {failure} from './failure.ts';

/** Why a signal was aborted, as an error of ours: its reason where that is one, else a request to stop (`interrupted`). */
export function interruption(signal: AbortSignal): LabError {
	return signal.reason instanceof LabError ? signal.reason : failure.interrupted('a request to stop');
}

/** Throws what `interruption` gives where the signal was aborted. */
export function throwIfInterrupted(signal: AbortSignal | undefined): void {
	if (signal?.aborted === true) {
		throw interruption(signal);
	}
}
