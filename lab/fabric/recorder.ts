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

/** Told of each frame that went from the machine of one link to that of another at one moment, which is two crossings; else as `RecordFrame`. */
export type RecordPassage = (from: number, to: number, time: number, buffer: Buffer, start: number, end: number) => void;

/** Who is told of all frames on links: of each crossing by one of these. */
export interface FrameWitness {
	readonly record: RecordFrame;
	readonly recordPassage: RecordPassage;
}

/** A recorded frame, of one of several links. */
export interface LinkFrame extends Omit<RingFrame, 'to'> {
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

/**
 * Records the frames of links. What went from one link to another is there once, in the ring of the link that it came from, since copying is
 * what recording costs; its time on both is one.
 */
export interface Recorder extends FrameWitness {
	/** A copy of what is there of these links. */
	recorded(links: readonly number[]): Recorded;
}

/** Reasons that differ are few; what is beyond is told as this. */
const otherReason = 'dropped';

/** A recorder for so many links (fewer than 65535), whose numbers count from 0. */
export function frameRecorder(links: number): Recorder {
	const begun = performance.now();
	const size = Math.max(ringBytes.least, Math.min(ringBytes.most, Math.floor(ringBytes.lab / Math.max(1, links)))) & ~7;
	/** Of each link, as the one that frames went on to: what is in the rings of others. */
	const there = {recorded: new Float64Array(links), overwritten: new Float64Array(links), until: new Float64Array(links).fill(Number.NEGATIVE_INFINITY)};
	const forget = (time: number, to: number): void => {
		if (to !== -1) {
			there.overwritten[to]! += 1;
			there.until[to] = Math.max(there.until[to]!, time);
		}
	};

	const rings: FrameRing[] = Array.from({length: links}, () => frameRing(size, recordedBytes, forget));
	/** Which links have had frames for which: from times the number of links, and to. */
	const hadFor = new Uint8Array(links * links);
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
		recordPassage(from, to, time, buffer, start, end) {
			// One for each link that it crossed.
			order += 2;
			hadFor[from * links + to] = 1;
			there.recorded[to]! += 1;
			rings[from]!.add('from', time, order - 1, 0, buffer, start, end, to);
		},
		recorded(wanted) {
			const isWanted = new Set(wanted);
			const needed = rings.flatMap((ring, link) => (isWanted.has(link) || wanted.some((other) => hadFor[link * links + other] === 1) ? [{link, snapshot: ring.snapshot()}] : []));
			return {
				links: wanted.map((link) => {
					const {recorded, overwritten, overwrittenUntil} = needed.find((one) => one.link === link)!.snapshot;
					const until = Math.max(overwrittenUntil ?? Number.NEGATIVE_INFINITY, there.until[link]!);
					return {
						link, recorded: recorded + there.recorded[link]!, overwritten: overwritten + there.overwritten[link]!,
						since: until === Number.NEGATIVE_INFINITY ? begun : until,
					};
				}),
				* frames() {
					const readers = needed.map(({link, snapshot}) => ({link, frames: snapshot.frames(), next: undefined as RingFrame | undefined}));
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

						const {to, ...frame} = first.next;
						if (isWanted.has(first.link)) {
							yield {...frame, link: first.link, reason: frame.code === 0 ? undefined : reasons[frame.code]};
						}

						if (to !== undefined && isWanted.has(to)) {
							yield {...frame, order: frame.order + 1, link: to, direction: 'to', reason: undefined};
						}

						first.next = first.frames.next().value ?? undefined;
					}
				},
			};
		},
	};
}
