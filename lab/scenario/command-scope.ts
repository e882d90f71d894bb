/**
 * What a command must stop for. A command started inside `eventually` ends when that wait's deadline has passed, without
 * the script handing a signal through; asynchronous context carries it (node:async_hooks).
 */
import {AsyncLocalStorage} from 'node:async_hooks';

const scope = new AsyncLocalStorage<AbortSignal>();

/** Runs `use` so that commands in it also stop for `signal`. */
export function withCommandSignal<Value>(signal: AbortSignal, use: () => Promise<Value>): Promise<Value> {
	return scope.run(signal, use);
}

/** The signal for a command that starts now: the run's, and that of the wait around it. */
export function commandSignal(run: AbortSignal): AbortSignal {
	const wait = scope.getStore();
	return wait === undefined ? run : AbortSignal.any([run, wait]);
}

/** Has the wait around us ended, while the run goes on? */
export function waitIsOver(run: AbortSignal): boolean {
	return !run.aborted && scope.getStore()?.aborted === true;
}
