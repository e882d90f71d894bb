/**
 * How long what a step changes about the lab holds: until the step ends, however it ends; what is changed outside of steps, until the scenario does. What was
 * changed is put back in the reverse order of how it was changed first, each thing once.
 */
import {AsyncLocalStorage} from 'node:async_hooks';
import {failure} from '../host/failure.ts';

/** How a step ended: well, or not; or the scenario was ended around it. */
export type StepEnd = 'passed' | 'failed' | 'ended';

/** Puts something back as it was. */
export type PutBack = (end: StepEnd) => Promise<void>;

/** What steps change. */
export interface StepScope {
	/**
	 * Changes something. What `change` wants to be put back is so when the step around ends, unless the step has changed the same thing before.
	 *
	 * @param what a name of it, of which there is one
	 * @throws `interrupted` when the scenario is over; what `change` throws
	 */
	change(what: string, change: (remember: (putBack: PutBack) => void) => Promise<void>): Promise<void>;
	/** Runs a step, and puts back what it has changed. Throws what the step throws; else what putting back does. */
	within<Value>(step: () => Promise<Value>): Promise<Value>;
	/** Puts all back, and lets nothing be changed any more. Throws what failed first, having gone on with the rest; also what failed after a step that had failed itself. */
	close(): Promise<void>;
}

/** A step that runs, or what is outside of steps. */
interface Scope {
	readonly putBacks: Map<string, PutBack>;
	/** Changes that are under way: what they change is put back when they have been made. */
	readonly pending: Set<Promise<unknown>>;
	ending?: Promise<void>;
}

/** Scopes of a scenario. When `signal` aborts nothing is changed any more. */
export function openStepScope(signal: AbortSignal): StepScope {
	const steps = new AsyncLocalStorage<Scope>();
	const outside = newScope();
	/** Of `outside`, and of each step that runs, the innermost last. */
	const open: Scope[] = [outside];
	/** What could not be put back after steps that failed by themselves. */
	const lost: unknown[] = [];
	let closed = false;
	return {
		async change(what, change) {
			signal.throwIfAborted();
			if (closed) {
				throw failure.interrupted('the end of the scenario');
			}

			const around = steps.getStore();
			// What a step has started and not awaited is outside of it once it is over.
			const scope = around === undefined || around.ending !== undefined ? outside : around;
			const making = change((putBack) => {
				if (!scope.putBacks.has(what)) {
					scope.putBacks.set(what, putBack);
				}
			});
			scope.pending.add(making);
			try {
				await making;
			} finally {
				scope.pending.delete(making);
			}
		},
		async within(step) {
			const scope = newScope();
			open.push(scope);
			try {
				return await steps.run(scope, async () => step()).then(
					async (value) => {
						await end(scope, 'passed');
						return value;
					},
					async (error: unknown) => {
						// Why the step failed counts; the rest is told at the end.
						await end(scope, signal.aborted ? 'ended' : 'failed').catch((failed: unknown) => {
							lost.push(failed);
						});
						throw error;
					},
				);
			} finally {
				open.splice(open.indexOf(scope), 1);
			}
		},
		async close() {
			closed = true;
			for (const scope of open.toReversed()) {
				await end(scope, 'ended').catch((error: unknown) => {
					lost.push(error);
				});
			}

			if (lost.length > 0) {
				throw lost[0];
			}
		},
	};
}

function newScope(): Scope {
	return {putBacks: new Map(), pending: new Set()};
}

/** Puts back what was changed in a scope; once, whoever asks. */
async function end(scope: Scope, how: StepEnd): Promise<void> {
	scope.ending ??= (async () => {
		await Promise.allSettled(scope.pending);
		const failures: unknown[] = [];
		for (const [what, putBack] of [...scope.putBacks].toReversed()) {
			await putBack(how).then(() => scope.putBacks.delete(what), (error: unknown) => {
				failures.push(error);
			});
		}

		if (failures.length > 0) {
			throw failures[0];
		}
	})();
	return scope.ending;
}
