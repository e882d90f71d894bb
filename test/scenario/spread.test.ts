import test from 'ava';
import {countEach, findUneven} from '../../lab/scenario/spread.ts';

const pods = ['a', 'b', 'c', 'd'];

function shares(...counts: number[]): Map<string, number> {
	return new Map(counts.map((count, index) => [pods[index] ?? 'stranger', count]));
}

test('Shares within five standard deviations of even are even', (t) => {
	t.deepEqual(findUneven(shares(100, 100, 100, 100), pods), []);
	// sqrt(400 * 1/4 * 3/4) = 8.66, five of them 43.3.
	t.deepEqual(findUneven(shares(143, 57, 100, 100), pods), []);
	t.deepEqual(findUneven(new Map([['a', 400]]), ['a']), []);
});

test('Shares beyond that are told by name', (t) => {
	t.deepEqual(findUneven(shares(144, 100, 100, 56), pods).map((sentence) => sentence.split(' got ')[0]), ['a', 'd']);
	t.regex(findUneven(shares(200, 200), pods).join(), /c got 0 of 400; even is 100/);
});

test('A name that gets no connections is told, however few there are', (t) => {
	t.deepEqual(findUneven(shares(10, 10, 10, 10), pods), []);
	t.deepEqual(findUneven(shares(14, 13, 13), pods), ['d got 0 of 40; even is 10, and none is not chance']);
});

test('Without connections nothing is even', (t) => {
	t.is(findUneven(new Map(), pods).length, 4);
});

test('An answer of somebody else is told', (t) => {
	t.deepEqual(findUneven(shares(100, 100, 100, 100, 1), pods), ['stranger answered, which is none of those expected']);
});

test('Values are counted', (t) => {
	t.deepEqual(countEach(['a', 'b', 'a']), new Map([['a', 2], ['b', 1]]));
});
