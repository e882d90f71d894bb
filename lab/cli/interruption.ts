/** Ctrl-C, SIGTERM and SIGHUP: the first ends what runs in good order, the second at once. */
import {setMaxListeners} from 'node:events';
import {exitCodes} from '../host/error.ts';
import {failure} from '../host/failure.ts';

/**
 * The same signal again within so many milliseconds is the same Ctrl-C: the terminal sends it to all of the foreground, and a
 * parent there (npm, a shell) may pass on to its child what it got itself. Nobody presses twice on purpose as fast.
 */
const echoTime = 500;

/**
 * From now on signals abort the returned AbortSignal. A second one exits at once: what runs then dies with this process,
 * and files are cleared by the next command.
 */
export function abortOnSignals(): AbortSignal {
	const controller = new AbortController();
	// Every program that runs at the same time listens to it.
	setMaxListeners(0, controller.signal);
	let first: {readonly name: NodeJS.Signals; readonly at: number} | undefined;
	for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
		process.on(name, () => {
			const now = performance.now();
			if (first?.name === name && now - first.at < echoTime) {
				return;
			}

			if (controller.signal.aborted) {
				process.exit(exitCodes.interrupted);
			}

			first = {name, at: now};
			process.stderr.write(`\n${name}: ending what runs. Once more ends it at once.\n`);
			controller.abort(failure.interrupted(name));
		});
	}

	process.stdout.on('error', (error: NodeJS.ErrnoException) => {
		// Whoever read our data has gone, or has no room for it: what only makes more of it can end.
		if (!controller.signal.aborted) {
			controller.abort(error.code === 'EPIPE' ? failure.interrupted('a closed pipe') : failure.outputNotWritten(error));
		}
	});
	process.stderr.on('error', (error: NodeJS.ErrnoException) => {
		// Nobody watches any more; that is no reason to lose the work.
		if (error.code !== 'EPIPE') {
			throw error;
		}
	});
	return controller.signal;
}
