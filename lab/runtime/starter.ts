/** The command that a lab's supervisor was started by: nobody wants a lab whose starter ended before it was ready. */
import {isAlive, type ProcessIdentity} from '../host/process.ts';
import {until} from '../host/wait.ts';

/** No boot takes as long, in milliseconds. */
const longestBoot = 24 * 3_600_000;

/**
 * Calls `giveUp` when the process that waits for the lab has ended; with the signal nobody has to wait any more.
 *
 * @param look tells whether that process runs; another than the system's for tests
 */
export async function watchStarter(starter: ProcessIdentity, signal: AbortSignal, giveUp: () => void, look: typeof isAlive = isAlive): Promise<void> {
	await until(
		'whoever waits for the lab has ended',
		async () => ((await look(starter)) ? {met: false, seen: `process ${starter.pid} runs`} : {met: true, value: undefined}),
		{deadline: longestBoot, signal},
	).then(() => {
		// A look that began before the lab was ready may end after it, and after the starter has gone content.
		if (!signal.aborted) {
			giveUp();
		}
	}, () => {});
}
