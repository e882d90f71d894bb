/** A capture as values: the frames of links, and how complete they are. */
import {droppedPrefix} from './capture-request.ts';
import type {LinkDirection} from '../spec/impairment.ts';
import {pcapngReader} from './pcapng-reader.ts';

/** A frame that crossed a link, or was dropped there. */
export interface RecordedFrame {
	/** The link's name: 'node-1@cluster'. */
	readonly link: string;
	/** `from` the link's machine, or `to` it. */
	readonly direction: LinkDirection;
	/** Milliseconds since 1970. */
	readonly time: number;
	/** Bytes that it had; `bytes` may be fewer. */
	readonly length: number;
	readonly bytes: Buffer;
	/** Why it was dropped there; undefined where it was carried. */
	readonly dropped?: string;
}

/** What was recorded of some links. */
export interface Recording {
	/** In the order in which they crossed the links. */
	readonly frames: readonly RecordedFrame[];
	readonly links: ReadonlyArray<{
		readonly name: string;
		/** Milliseconds since 1970: from then on nothing is missing. */
		readonly since: number;
		/** Frames of before that were recorded, and are no more there. */
		readonly overwritten: number;
	}>;
}

/** Reads a capture. Throws Error for what is none. */
export function readRecording(capture: Buffer): Recording {
	const names: string[] = [];
	const links: Array<Recording['links'][number]> = [];
	const frames: RecordedFrame[] = [];
	pcapngReader({
		onInterface(name) {
			names.push(name);
		},
		onFrame({interface: number, time, direction, length, bytes, comment}) {
			const dropped = comment?.startsWith(droppedPrefix) ? comment.slice(droppedPrefix.length) : undefined;
			frames.push({link: names[number] ?? '', direction, time, length, bytes, ...(dropped !== undefined && {dropped})});
		},
		onStatistics({interface: number, startTime, dropped}) {
			links.push({name: names[number] ?? '', since: startTime, overwritten: dropped});
		},
	})(capture);
	return {frames, links};
}
