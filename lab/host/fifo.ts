/** FIFOs, whose opening for writing waits for a reader (fifo(7)). */
import {closeSync, constants, fstatSync, openSync} from 'node:fs';
import {Socket} from 'node:net';
import {until} from './wait.ts';

/** Milliseconds between two looks for a reader: as long as nobody notices. */
const interval = 100;

/**
 * Opens a FIFO for writing when somebody reads it, without waiting for that in the kernel: open(2) that blocks cannot be taken back, and a process that
 * has one under way cannot end either.
 *
 * @throws the signal's reason; the system's error where the file cannot be written, or is no FIFO any more
 */
export async function openFifo(file: string, signal: AbortSignal): Promise<Socket> {
	const opened = await until<{fd: number} | {error: unknown}>(`somebody reads ${file}`, async () => {
		try {
			return {met: true, value: {fd: openSync(file, constants.O_WRONLY | constants.O_NONBLOCK)}};
		} catch (error) {
			return (error as NodeJS.ErrnoException).code === 'ENXIO' ? {met: false, seen: 'nobody reads it'} : {met: true, value: {error}};
		}
	}, {deadline: Number.POSITIVE_INFINITY, interval, signal});
	if (!('fd' in opened)) {
		throw opened.error;
	}

	if (!fstatSync(opened.fd).isFIFO()) {
		closeSync(opened.fd);
		throw Object.assign(new Error(`${file} is no FIFO any more`), {code: 'ESTALE'});
	}

	return new Socket({fd: opened.fd, readable: false, writable: true});
}
