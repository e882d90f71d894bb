/** Doing several things at once, so that none of them goes on behind the caller's back. */

/**
 * Starts all tasks with one signal. When one fails the others' signal aborts with its error; only when all have settled is
 * the first failure thrown.
 */
export async function together<Value>(signal: AbortSignal, tasks: ReadonlyArray<(signal: AbortSignal) => Promise<Value>>): Promise<Value[]> {
	const stop = new AbortController();
	const joint = AbortSignal.any([signal, stop.signal]);
	const settled = await Promise.allSettled(tasks.map(async (task) => {
		try {
			return await task(joint);
		} catch (error) {
			// Only the first counts: abort() keeps its first reason.
			stop.abort(error);
			throw error;
		}
	}));
	if (stop.signal.aborted) {
		throw stop.signal.reason;
	}

	return settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

/** Waits until all have settled, whatever fails of it; then throws what failed, of several the first in the list. */
export async function allOf<Value>(promises: ReadonlyArray<Promise<Value>>): Promise<Value[]> {
	const settled = await Promise.allSettled(promises);
	const failed = settled.find((result) => result.status === 'rejected');
	if (failed !== undefined) {
		throw failed.reason;
	}

	return settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}
