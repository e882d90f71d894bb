/** `vmlab capture`: frames of a lab's links as pcapng, for Wireshark and its like. */
import {once} from 'node:events';
import {createWriteStream} from 'node:fs';
import type {Writable} from 'node:stream';
import type {CaptureRequest} from '../fabric/capture-request.ts';
import {connectCapture} from '../fabric/capture-stream.ts';
import {parseFilter} from '../fabric/frame-filter.ts';
import {pcapngReader} from '../fabric/pcapng-reader.ts';
import {failure} from '../host/failure.ts';
import {timeLimit} from '../host/wait.ts';
import {captureLab} from '../runtime/lab-client.ts';
import {chooseLab} from './lab-choice.ts';
import {duration, wholeNumber} from './option-values.ts';
import {say} from './output.ts';
import {defineVerb} from './verb.ts';

/** The file that `-w` names, for this user alone; stdout where it names none. */
async function openTarget(file: string | undefined): Promise<Writable> {
	if (file === undefined) {
		return process.stdout;
	}

	const stream = createWriteStream(file, {mode: 0o600});
	await once(stream, 'open').catch((error: NodeJS.ErrnoException) => {
		throw failure.usage(`${file} cannot be written: ${error.code ?? error.message}`, 'Name a file in a folder that is there and that you may write to.');
	});
	return stream;
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
		const socketFile = await captureLab(lab, request, signal);
		const target = await openTarget(file);
		const socket = await connectCapture(socketFile);
		let [captured, dropped] = [0, 0];
		const read = pcapngReader({
			onFrame() {
				captured += 1;
			},
			onStatistics(statistics) {
				dropped += statistics.dropped;
			},
		});
		// Its end is asked for, so that what is left comes, and the statistics.
		const end = (): void => {
			socket.end();
		};

		const ends = time === undefined ? signal : AbortSignal.any([signal, timeLimit(time)]);
		ends.addEventListener('abort', end, {once: true});
		if (ends.aborted) {
			end();
		}

		if (!recorded) {
			say(`Capturing on ${lab}${time === undefined && count === undefined ? ', until Ctrl-C' : ''}`);
		}

		let gone = false;
		target.on('error', (error: NodeJS.ErrnoException) => {
			gone = true;
			socket.destroy();
			if (error.code !== 'EPIPE') {
				say(`The capture cannot be written any more: ${error.code ?? error.message}`);
			}
		});
		try {
			for await (const chunk of socket) {
				read(chunk as Buffer);
				// Whoever reads slowly makes us read slowly, and the fabric leave frames out.
				if (!gone && !target.write(chunk)) {
					await Promise.race([once(target, 'drain'), once(target, 'close')]).catch(() => {});
				}
			}
		} catch (error) {
			// Once nobody takes it any more, its end is no failure.
			if (!gone) {
				throw error;
			}
		}

		ends.removeEventListener('abort', end);
		if (target !== process.stdout && !gone) {
			target.end();
			await once(target, 'close');
		}

		say(`${frames(captured)} captured${dropped === 0 ? '' : recorded ? `; ${frames(dropped)} of before were recorded no more` : `; ${frames(dropped)} left out, since they were read too slowly`}`);
	},
});
