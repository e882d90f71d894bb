/** The last frames of one link, in a ring of bytes that does not grow: what was recorded first is overwritten first. */
import type {LinkDirection} from '../spec/impairment.ts';

/** A frame as it is recorded. */
export interface RingFrame {
	/** Milliseconds, of the clock that it was recorded by. */
	readonly time: number;
	/** Counts all frames of a fabric that are recorded, and so tells which of two that came at one time was first. */
	readonly order: number;
	readonly direction: LinkDirection;
	/** Bytes that the frame had; fewer may have been kept. */
	readonly length: number;
	/** A number that the caller gave it; 0 to 255. */
	readonly code: number;
	/** The number of the link that it went on to at the same moment; not there where it is of this link alone. */
	readonly to?: number;
	/** Its first bytes. */
	readonly bytes: Buffer;
}

/** A copy of a ring at one moment. */
export interface RingSnapshot {
	/** Frames that were recorded since the beginning, and those among them that were overwritten. */
	readonly recorded: number;
	readonly overwritten: number;
	/** When the last one that was overwritten was recorded; since then all are there. Undefined where none was. */
	readonly overwrittenUntil: number | undefined;
	/** Those that are there, the oldest first. */
	frames(): Generator<RingFrame>;
}

/** A ring. */
export interface FrameRing {
	/**
	 * Records a frame: its first bytes are copied.
	 *
	 * @param buffer holds the frame from `start` to `end`; it is shorter than 128 KiB
	 * @param to the link that it went on to, 0 to 65534; -1, the default, for none
	 */
	add(direction: LinkDirection, time: number, order: number, code: number, buffer: Buffer, start: number, end: number, to?: number): void;
	snapshot(): RingSnapshot;
}

/**
 * Before the bytes of each frame: time and order (a double each), a word, how much of it is there (16 bits), and one more than the link that it went on to
 * (16 bits, 0 for none). The word has its length (17 bits), its code (8) and its direction (1).
 */
const headBytes = 24;
/** The lowest bits of what is in the word. */
const [codeBit, directionBit] = [17, 25];

/** Frames begin where a double can be. */
function padded(bytes: number): number {
	return (bytes + 7) & ~7;
}

/**
 * An empty ring.
 *
 * @param size bytes that it takes in all; a multiple of 8
 * @param snapLength bytes of each frame that are kept at most; less than `size` by far
 * @param onForget told of each frame that is overwritten: when it was recorded, and the link that it went on to, or -1
 */
export function frameRing(size: number, snapLength: number, onForget?: (time: number, to: number) => void): FrameRing {
	const memory = new ArrayBuffer(size);
	const bytes = new Uint8Array(memory);
	const doubles = new Float64Array(memory);
	const words = new Uint32Array(memory);
	const halves = new Uint16Array(memory);
	// Frames are from `tail` to `head`; or, where they go over the end, from `tail` to `wrap` and from 0 to `head`.
	let head = 0;
	let tail = 0;
	let wrap = -1;
	let count = 0;
	let recorded = 0;
	let overwrittenUntil: number | undefined;

	const forgetOldest = (): void => {
		overwrittenUntil = doubles[tail >> 3];
		onForget?.(overwrittenUntil!, halves[(tail + 22) >> 1]! - 1);
		tail += headBytes + padded(halves[(tail + 20) >> 1]!);
		count -= 1;
		if (tail === wrap) {
			tail = 0;
			wrap = -1;
		}
	};

	return {
		add(direction, time, order, code, buffer, start, end, to = -1) {
			const length = end - start;
			const kept = Math.min(length, snapLength);
			const needed = headBytes + padded(kept);
			if (count === 0) {
				head = 0;
				tail = 0;
				wrap = -1;
			}

			if (head + needed > size) {
				while (count > 0 && tail >= head) {
					forgetOldest();
				}

				wrap = head;
				head = 0;
			}

			while (count > 0 && tail >= head && tail < head + needed) {
				forgetOldest();
			}

			if (count === 0) {
				tail = head;
				wrap = -1;
			}

			doubles[head >> 3] = time;
			doubles[(head >> 3) + 1] = order;
			words[(head + 16) >> 2] = length | (code << codeBit) | (direction === 'from' ? 0 : 1 << directionBit);
			halves[(head + 20) >> 1] = kept;
			halves[(head + 22) >> 1] = to + 1;
			// A plain view is made in half the time that `subarray` of a Buffer takes, and copying it is quicker than any loop once it has more than a few words.
			bytes.set(new Uint8Array(buffer.buffer, buffer.byteOffset + start, kept), head + headBytes);
			head += needed;
			count += 1;
			recorded += 1;
		},
		snapshot() {
			// A copy: what is overwritten meanwhile does not change what is read.
			const isWhole = wrap === -1;
			const copy = isWhole ? memory.slice(tail, head) : memory.slice(0);
			const [allHalves, allWords, allDoubles] = [new Uint16Array(copy), new Uint32Array(copy), new Float64Array(copy)];
			const [from, end, frames] = [isWhole ? 0 : tail, wrap, count];
			return {
				recorded, overwritten: recorded - frames, overwrittenUntil,
				* frames() {
					let at = from;
					for (let index = 0; index < frames; index++) {
						at = at === end ? 0 : at;
						const kept = allHalves[(at + 20) >> 1]!;
						const to = allHalves[(at + 22) >> 1]! - 1;
						const word = allWords[(at + 16) >> 2]!;
						yield {
							time: allDoubles[at >> 3]!, order: allDoubles[(at >> 3) + 1]!, length: word & ((1 << codeBit) - 1),
							direction: ((word >>> directionBit) & 1) === 0 ? 'from' : 'to', code: (word >>> codeBit) & 0xff,
							bytes: Buffer.from(copy, at + headBytes, kept), ...(to !== -1 && {to}),
						};
						at += headBytes + padded(kept);
					}
				},
			};
		},
	};
}
