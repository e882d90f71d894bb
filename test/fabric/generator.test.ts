import test from 'ava';
import {keyOf, philox, type Words, wordsAt} from '../../lab/fabric/generator.ts';

const all = 0xffff_ffff;

test('the words are those that Random123, the reference of the algorithm, publishes for its tests', (t) => {
	t.deepEqual(philox([0, 0], [0, 0, 0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
	t.deepEqual(philox([all, all], [all, all, all, all]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
	t.deepEqual(philox([0xa4093822, 0x299f31d0], [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344]), [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
});

test('a number, a block and a key have their own words, the same each time', (t) => {
	const key = keyOf(1, 'node-1@cluster', 'to');
	const words = new Map<string, Words>();
	for (const [index, block] of [[0, 0], [0, 1], [1, 0], [2 ** 32, 0], [2 ** 32 + 1, 0], [2 ** 53 - 1, 0]] as const) {
		t.deepEqual(wordsAt(key, index, block), wordsAt(key, index, block));
		words.set(wordsAt(key, index, block).join(' '), wordsAt(key, index, block));
	}

	t.is(words.size, 6);
	t.deepEqual(keyOf(1, 'node-1@cluster', 'to'), key);
	for (const other of [keyOf(2, 'node-1@cluster', 'to'), keyOf(1, 'node-2@cluster', 'to'), keyOf(1, 'node-1@cluster', 'from')]) {
		t.notDeepEqual(wordsAt(other, 0, 0), wordsAt(key, 0, 0));
	}
});

test('words are evenly spread', (t) => {
	const key = keyOf(0, 'a@b', 'to');
	const counts = Array.from({length: 16}, () => 0);
	const count = 40_000;
	for (let index = 0; index < count; index++) {
		for (const word of wordsAt(key, index, 0)) {
			counts[Math.floor(word / 2 ** 28)]! += 1;
		}
	}

	// Each is binomial, with a deviation of 97: five of these.
	for (const found of counts) {
		t.true(Math.abs(found - count / 4) < 485, counts.join(' '));
	}
});
