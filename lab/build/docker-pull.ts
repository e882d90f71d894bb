/** Pulling images into the local Docker daemon, and following what the daemon tells while it works. */
import type Docker from 'dockerode';

/** Pulls an image. Rejects with what the daemon says, or when the signal aborts. */
export async function pullImage(docker: Docker, reference: string, signal: AbortSignal): Promise<void> {
	await followProgress(docker, await docker.pull(reference, {abortSignal: signal}), signal);
}

/**
 * Waits for the end of what the daemon reports on a stream, whose request has the signal too. What it reports as an error is
 * thrown; so is the signal's reason.
 */
export async function followProgress(docker: Docker, stream: NodeJS.ReadableStream, signal: AbortSignal): Promise<void> {
	await new Promise<void>((resolve, reject) => {
		docker.modem.followProgress(stream, (error, output: ReadonlyArray<{error?: string}>) => {
			const problem = error ?? output.map((line) => line.error).find((line) => line !== undefined);
			if (problem === undefined || problem === null) {
				resolve();
			} else {
				reject(problem instanceof Error ? problem : new Error(String(problem)));
			}
		});
	});
	// The end of a stream that was cut off may look like any other.
	signal.throwIfAborted();
}
