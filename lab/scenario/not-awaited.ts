/** What scenarios start and do not wait for: that it failed is an error of the scenario, not the end of this process and of the other scenarios in it. */
import {LabError} from '../host/error.ts';

type Listener = (reason: unknown) => void;

const listeners = new Set<Listener>();
let listening = false;

function tell(reason: unknown): void {
	// What was interrupted has done nothing wrong: scenarios interrupt what they leave behind.
	if (reason instanceof LabError && (reason.kind === 'interrupted' || listeners.size === 0)) {
		return;
	}

	if (listeners.size === 0) {
		// As if nobody listened (`unhandledRejection` of Node.js's process).
		throw reason;
	}

	// A rejection does not say where it is from: of several scenarios at once any may have forgotten it.
	for (const listener of listeners) {
		listener(reason);
	}
}

/** Tells of rejections that nobody handles, until the function that it gives is called. Ends no process from then on for what a scenario leaves behind. */
export function onNotAwaited(listener: Listener): () => void {
	if (!listening) {
		listening = true;
		process.on('unhandledRejection', tell);
	}

	listeners.add(listener);
	return () => {
		listeners.delete(listener);
	};
}
