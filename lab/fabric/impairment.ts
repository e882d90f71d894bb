/** What an impairment decides for the n-th frame that it applies to: pure, and the same for the same key. */
import type {Impairment} from '../spec/impairment.ts';
import {type Key, wordsAt} from './generator.ts';

/** How far an impairment is: all that its next decisions depend on beside its key. */
export interface Progress {
	/** Frames that it was applied to. */
	readonly frames: number;
	/** Was the last one within a burst of losses? */
	readonly inBurst: boolean;
}

/** What becomes of one frame. */
export interface Fate {
	readonly lost: boolean;
	/** Where a bit is turned: a number from 0 to below 1, of the bits that there are. */
	readonly corruptAt?: number;
	/** Milliseconds, of the frame and, where it comes twice, of its copy; 0 for a frame that goes ahead. */
	readonly delay: number;
	readonly copyDelay?: number;
	/** It goes ahead of those that are delayed. */
	readonly ahead: boolean;
}

/** One more than the largest word. */
const wordRange = 0x1_0000_0000;
const passes: Fate = {lost: false, delay: 0, ahead: false};
const isLost: Fate = {...passes, lost: true};

/** Before the first frame. */
export const noProgress: Progress = {frames: 0, inBurst: false};

/** Is something that happens to that proportion of all frames to happen with this word? */
function happens(word: number, likelihood: number | undefined): boolean {
	return likelihood !== undefined && word < likelihood * wordRange;
}

/**
 * Decides about the next frame.
 *
 * Bursts are those of Gilbert and Elliott: the state changes before each frame, and says how likely that frame is lost (E. N. Gilbert, "Capacity of a Burst-Noise
 * Channel", 1960; E. O. Elliott, "Estimates of Error Rates for Codes on Burst-Noise Channels", 1963).
 */
export function decide(impairment: Impairment, key: Key, {frames, inBurst}: Progress): {fate: Fate; progress: Progress} {
	const {loss, burst, delay = 0, jitter = 0, reorder, duplicate, corrupt} = impairment;
	const [change, chance, twice, broken] = wordsAt(key, frames, 0);
	const bursts = burst !== undefined && (inBurst ? !happens(change, burst.leave) : happens(change, burst.enter));
	const progress = {frames: frames + 1, inBurst: bursts};
	if (happens(chance, bursts ? burst.loss : loss)) {
		return {fate: isLost, progress};
	}

	if (delay === 0 && jitter === 0 && duplicate === undefined && corrupt === undefined) {
		return {fate: passes, progress};
	}

	const [place, order, variation, copyVariation] = wordsAt(key, frames, 1);
	const ahead = happens(order, reorder);
	const varied = (word: number): number => (ahead ? 0 : Math.max(0, delay + (word / wordRange * 2 - 1) * jitter));
	const fate = {
		lost: false, ahead, delay: varied(variation),
		...(happens(twice, duplicate) && {copyDelay: varied(copyVariation)}),
		...(happens(broken, corrupt) && {corruptAt: place / wordRange}),
	};
	return {fate, progress};
}

/**
 * A copy of a frame, which is from `start` to `end`, with one bit turned, behind its Ethernet header: what a switch gets with another header is another frame, or none.
 * Where there is nothing behind it, nothing is turned.
 *
 * @param place from 0 to below 1
 * @param first where the Ethernet frame begins
 */
export function corrupted(buffer: Buffer, start: number, end: number, first: number, place: number): Buffer {
	const copy = Buffer.from(buffer.subarray(start, end));
	const from = first - start + ethernetHeader;
	const bit = Math.floor(place * (copy.length - from) * 8);
	if (copy.length > from) {
		copy[from + (bit >> 3)]! ^= 1 << (bit & 7);
	}

	return copy;
}

/** Bytes of two addresses and a type (IEEE 802.3, clause 3). */
const ethernetHeader = 14;
