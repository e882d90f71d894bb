/**
 * Random numbers by counting: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3" (SC'11). The words for frame n are a
 * function of the key and n alone, so that nothing but n has to be kept to go on, and no frame's words depend on what was done with another's.
 */
import {digestOf} from '../host/digest.ts';

/** 64 bits, as two words. */
export type Key = readonly [number, number];
/** Four words of 32 bits, from 0 to 2^32 - 1. */
export type Words = readonly [number, number, number, number];

const rounds = 10;
const [multiplierA, multiplierB] = [0xd2511f53, 0xcd9e8d57];
const [weylA, weylB] = [0x9e3779b9, 0xbb67ae85];

/** The upper half of the 64 bits of a product. No sum below exceeds 2^32. */
function upperHalf(a: number, b: number): number {
	const [aLow, aHigh, bLow, bHigh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
	const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
	return (aHigh * bHigh + (middle >>> 16) + (((middle & 0xffff) + aLow * bHigh) >>> 16)) >>> 0;
}

/** The four words that a key has for a counter of 128 bits, its lowest word first. */
export function philox([keyA, keyB]: Key, counter: Words): Words {
	let [a, b, c, d] = counter;
	let [weightA, weightB] = [keyA, keyB];
	for (let round = 0; round < rounds; round++) {
		const [upperA, lowerA] = [upperHalf(multiplierA, a), Math.imul(multiplierA, a)];
		const [upperC, lowerC] = [upperHalf(multiplierB, c), Math.imul(multiplierB, c)];
		[a, b, c, d] = [(upperC ^ b ^ weightA) >>> 0, lowerC >>> 0, (upperA ^ d ^ weightB) >>> 0, lowerA >>> 0];
		weightA = (weightA + weylA) >>> 0;
		weightB = (weightB + weylB) >>> 0;
	}

	return [a, b, c, d];
}

/** A key from what its words are to depend on. */
export function keyOf(...parts: ReadonlyArray<string | number>): Key {
	const digest = digestOf(parts);
	return [Number.parseInt(digest.slice(0, 8), 16), Number.parseInt(digest.slice(8, 16), 16)];
}

/** The words that a key has for number `index` (from 0, at most 2^53), in the block of that number: one number has several blocks. */
export function wordsAt(key: Key, index: number, block: number): Words {
	return philox(key, [index >>> 0, Math.floor(index / 0x1_0000_0000), block, 0]);
}
