/** `vmlab capture`: frames of a lab's links as pcapng, for Wireshark and its like. */
import {once} from 'node:events';
import {writeSync} from 'node:fs';
import {open, stat} from 'node:fs/promises';
import type {Writable} from 'node:stream';
import type {CaptureRequest} from '../fabric/capture-request.ts';
import {receiveCapture, type ReceivedCapture, type TakeBytes} from '../fabric/capture-stream.ts';
import {parseFilter} from '../fabric/frame-filter.ts';
import {pcapngReader} from '../fabric/pcapng-reader.ts';
import {failure} from '../host/failure.ts';
import {openFifo} from '../host/fifo.ts';
import {timeLimit} from '../host/wait.ts';
import {captureLab} from '../runtime/lab-client.ts';
import {chooseLab} from './lab-choice.ts';
import {duration, wholeNumber} from './option-values.ts';
import {say} from './output.ts';
import {defineVerb} from './verb.ts';

/** Where a capture goes. */
interface Target {
	/** Writes bytes of which it keeps nothing once it, or its promise, is done. Throws, or tells `fail`, the system's error. */
	readonly write: TakeBytes;
	/** Returns when all is written. */
	end(): Promise<void>;
}

/** A pipe or a terminal's program may be slow, and we are to hear Ctrl-C meanwhile. */
function streamTarget(stream: Writable, fail: (error: NodeJS.ErrnoException) => void): Target {
	stream.on('error', fail);
	return {
		async write(bytes) {
			// It keeps what it cannot hand on at once. Its own event comes when it is closed, which may be after our end.
			await new Promise<void>((resolve) => {
				stream.write(bytes, (error) => {
					if (error) {
						fail(error);
					}

					resolve();
				});
			});
		},
		async end() {
			if (stream !== process.stdout && !stream.destroyed) {
				stream.end();
				await once(stream, 'close').catch(() => {});
			}
		},
	};
}

/** The file that `-w` names, for this user alone; stdout where it names none. */
async function openTarget(file: string | undefined, fail: (error: NodeJS.ErrnoException) => void): Promise<Target> {
	if (file === undefined) {
		return streamTarget(process.stdout, fail);
	}

	const handle = await open(file, 'w', 0o600).catch((error: unknown) => {
		throw unwritable(file, error);
	});
	if (!(await handle.stat()).isFile()) {
		return streamTarget(handle.createWriteStream(), fail);
	}

	return {
		write(bytes) {
			// At once, and not in a thread of its own: handing each piece to one takes longer, and the machines the time.
			for (let at = 0; at < bytes.length;) {
				at += writeSync(handle.fd, bytes, at);
			}

			return undefined;
		},
		end: async () => handle.close(),
	};
}

function unwritable(file: string, error: unknown): Error {
	const {code, message} = error as NodeJS.ErrnoException;
	return failure.usage(`${file} cannot be written: ${code ?? message}`, 'Name a file in a folder that is there and that you may write to.');
}

/** `1 frame`, `2 frames` */
function frames(count: number): string {
	return `${count} ${count === 1 ? 'frame' : 'frames'}`;
}

export const verb = defineVerb({
	options: (command) => command
		.positional('lab', {type: 'string', describe: 'Default: the only one that runs'})
		.option('link', {alias: 'i', type: 'string', array: true, nargs: 1, defaultDescription: 'all', describe: 'Only this link, as MACHINE@NETWORK; repeatable'})
		.option('network', {type: 'string', array: true, nargs: 1, defaultDescription: 'all', describe: 'Only links of this network; repeatable'})
		.option('from', {type: 'boolean', describe: 'Frames from machines alone', conflicts: 'to'})
		.option('to', {type: 'boolean', describe: 'Frames to machines alone'})
		.option('filter', {alias: 'f', type: 'string', requiresArg: true, describe: 'Only these frames: "tcp port 80 and host 192.168.1.1"'})
		.option('write', {alias: 'w', type: 'string', requiresArg: true, defaultDescription: 'standard output', describe: 'Write to this file'})
		.option('snaplen', {alias: 's', type: 'string', requiresArg: true, defaultDescription: 'whole frames', describe: 'Only the first bytes of each frame'})
		.option('count', {alias: 'c', type: 'string', requiresArg: true, describe: 'End after so many frames'})
		.option('duration', {type: 'string', requiresArg: true, describe: 'End after this time: 30s, 5m'})
		.option('recorded', {type: 'boolean', default: false, describe: 'Give what was recorded before instead of what comes, and end: the last frames of each link, 256 bytes of each'}),
	async run({lab: name, link, network, from, to, filter, write, snaplen, count, duration: length, recorded}, {signal}) {
		const direction = from === true ? 'from' : to === true ? 'to' : undefined;
		const request: CaptureRequest = {
			...(link && {links: link}), ...(network && {networks: network}), ...(direction && {direction}), ...(filter !== undefined && {match: parseFilter(filter)}),
			...(snaplen !== undefined && {snapLength: wholeNumber('snaplen', snaplen)}), ...(count !== undefined && {count: wholeNumber('count', count)}), ...(recorded && {recorded: {}}),
		};
		const time = length === undefined ? undefined : duration('duration', length);
		if (recorded && time !== undefined) {
			throw failure.usage('What was recorded ends by itself', 'Leave --duration out, or --recorded.');
		}

		const file = write === '-' ? undefined : write;
		if (file === undefined && process.stdout.isTTY) {
			throw failure.usage('A capture is no text, and standard output is a terminal', 'Write it to a file with `-w FILE`, or pipe it: vmlab capture | wireshark -k -i -');
		}

		const {name: lab} = await chooseLab(name);
		let [captured, dropped, isWhole] = [0, 0, false];
		const read = pcapngReader({
			onFrame() {
				captured += 1;
			},
			onStatistics(statistics) {
				dropped += statistics.dropped;
				isWhole = true;
			},
		});
		let lost: NodeJS.ErrnoException | undefined;
		let received: ReceivedCapture | undefined;
		const fail = (error: NodeJS.ErrnoException): void => {
			lost ??= error;
			received?.stop();
		};

		// A FIFO is opened when somebody reads it, and a capture that is asked for does not wait.
		const isFifo = file !== undefined && (await stat(file).catch(() => undefined))?.isFIFO() === true;
		if (isFifo) {
			say(`Waiting until somebody reads ${file}`);
		}

		const opened = isFifo ? streamTarget(await openFifo(file, signal).catch((error: unknown) => {
			throw signal.aborted ? error : unwritable(file, error);
		}), fail) : undefined;
		const socketFile = await captureLab(lab, request, signal);
		const target = opened ?? await openTarget(file, fail);
		received = await receiveCapture(socketFile, (bytes) => {
			if (lost !== undefined) {
				return undefined;
			}

			try {
				// Whoever reads slowly makes us read slowly, and the fabric leave frames out.
				const written = target.write(bytes);
				read(bytes);
				return written;
			} catch (error) {
				fail(error as NodeJS.ErrnoException);
				return undefined;
			}
		});
		// Its end is asked for, so that what is left comes, and the statistics.
		const end = (): void => {
			received.finish();
		};

		const ends = time === undefined ? signal : AbortSignal.any([signal, timeLimit(time)]);
		ends.addEventListener('abort', end, {once: true});
		if (lost !== undefined) {
			received.stop();
		} else if (ends.aborted) {
			end();
		}

		if (!recorded) {
			say(`Capturing on ${lab}${time === undefined && count === undefined ? ', until Ctrl-C' : ''}`);
		}

		const broken = await received.over;
		ends.removeEventListener('abort', end);
		received.stop();
		await target.end();
		// Once nobody takes it any more (EPIPE), its end is no failure.
		if (lost !== undefined && lost.code !== 'EPIPE') {
			throw failure.captureNotWritten(file, lost);
		}

		if (broken !== undefined && lost === undefined) {
			throw broken;
		}

		// Its statistics are the last that comes.
		if (!isWhole && lost === undefined) {
			throw failure.captureCut(lab, captured);
		}

		say(`${frames(captured)} captured${dropped === 0 ? '' : recorded ? `; ${frames(dropped)} of before were recorded no more` : `; ${frames(dropped)} left out, since they were read too slowly`}`);
	},
});
