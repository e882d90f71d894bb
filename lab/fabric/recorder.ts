/** What the links of a lab carried last, always on: one ring of frames for each link. */
import type {LinkDirection} from '../spec/impairment.ts';
import {type FrameRing, frameRing, type RingFrame} from './frame-ring.ts';

/** Bytes of a frame that are recorded: all headers, with tags, extension headers and options, and the beginning of what they carry (a whole DNS question, an HTTP request's first line). */
export const recordedBytes = 256;
/** Bytes of one link's ring, and of all rings of a lab together: the more links, the smaller each. */
const ringBytes = {most: 4 * 1024 * 1024, least: 256 * 1024, lab: 64 * 1024 * 1024};

/**
 * Told of each frame that crosses a link, or should have.
 *
 * @param link its number
 * @param time milliseconds, by `performance.now()`
 * @param buffer holds the frame from `start` to `end`; it is read before this returns
 * @param reason why it was dropped there, as a few words; undefined where it was carried
 */
export type RecordFrame = (link: number, direction: LinkDirection, time: number, buffer: Buffer, start: number, end: number, reason?: string) => void;

/** A recorded frame, of one of several links. */
export interface LinkFrame extends RingFrame {
	readonly link: number;
	readonly reason: string | undefined;
}

/** What a recorder had of some links at one moment. */
export interface Recorded {
	/** For each link, in the order in which they were asked for. */
	readonly links: ReadonlyArray<{
		readonly link: number;
		/** By `performance.now()`: since then all frames are there. */
		readonly since: number;
		/** Frames that crossed it since it was opened, and those among them that are no more there. */
		readonly recorded: number;
		readonly overwritten: number;
	}>;
	/** The frames of all these links, in the order in which they crossed them. */
	frames(): Generator<LinkFrame>;
}

/** Records the frames of links. */
export interface Recorder {
	readonly record: RecordFrame;
	/** A copy of what is there of these links. */
	recorded(links: readonly number[]): Recorded;
}

/** Reasons that differ are few; what is beyond is told as this. */
const otherReason = 'dropped';

/** A recorder for so many links, whose numbers count from 0. */
export function frameRecorder(links: number): Recorder {
	const begun = performance.now();
	const size = Math.max(ringBytes.least, Math.min(ringBytes.most, Math.floor(ringBytes.lab / Math.max(1, links)))) & ~7;
	const rings: FrameRing[] = Array.from({length: links}, () => frameRing(size, recordedBytes));
	// A frame's code is its reason's place in here.
	const reasons: string[] = ['', otherReason];
	let order = 0;

	const codeOf = (reason: string): number => {
		const known = reasons.indexOf(reason);
		return known === -1 ? (reasons.length > 255 ? 1 : reasons.push(reason) - 1) : known;
	};

	return {
		record(link, direction, time, buffer, start, end, reason) {
			order += 1;
			rings[link]?.add(direction, time, order, reason === undefined ? 0 : codeOf(reason), buffer, start, end);
		},
		recorded(wanted) {
			const snapshots = wanted.map((link) => ({link, snapshot: rings[link]!.snapshot()}));
			return {
				links: snapshots.map(({link, snapshot: {recorded, overwritten, overwrittenUntil}}) => ({link, recorded, overwritten, since: overwrittenUntil ?? begun})),
				* frames() {
					const readers = snapshots.map(({link, snapshot}) => ({link, frames: snapshot.frames(), next: undefined as RingFrame | undefined}));
					for (const reader of readers) {
						reader.next = reader.frames.next().value ?? undefined;
					}

					for (;;) {
						let first: (typeof readers)[number] | undefined;
						for (const reader of readers) {
							if (reader.next !== undefined && (first?.next === undefined || reader.next.order < first.next.order)) {
								first = reader;
							}
						}

						if (first?.next === undefined) {
							return;
						}

						yield {...first.next, link: first.link, reason: first.next.code === 0 ? undefined : reasons[first.next.code]};
						first.next = first.frames.next().value ?? undefined;
					}
				},
			};
		},
	};
}
