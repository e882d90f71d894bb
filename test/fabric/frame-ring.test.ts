import test from 'ava';
import {frameRing, type RingFrame} from '../../lab/fabric/frame-ring.ts';

/** A frame that shows which one it is, and how long. */
function frameOf(number: number, length: number): Buffer {
	return Buffer.alloc(length, number % 251);
}

test('a frame comes out as it went in, cut to what is kept', (t) => {
	const ring = frameRing(4096, 100);
	const buffer = Buffer.concat([Buffer.from('before'), frameOf(7, 150), Buffer.from('behind')]);
	ring.add('from', 12.5, 1, 0, buffer, 6, 156);
	ring.add('to', 13.25, 2, 200, buffer, 6, 66);
	const {recorded, overwritten, overwrittenUntil, frames} = ring.snapshot();
	t.deepEqual([recorded, overwritten, overwrittenUntil], [2, 0, undefined]);
	t.deepEqual([...frames()], [
		{time: 12.5, order: 1, direction: 'from', length: 150, code: 0, bytes: frameOf(7, 100)},
		{time: 13.25, order: 2, direction: 'to', length: 60, code: 200, bytes: frameOf(7, 60)},
	]);
});

test('a ring has the last frames, whole and in order, whatever their lengths', (t) => {
	for (const size of [512, 1000 & ~7, 4096]) {
		const ring = frameRing(size, 256);
		const lengths: number[] = [];
		for (let number = 0; number < 2000; number++) {
			const length = (number * 7919) % 301;
			lengths.push(length);
			ring.add(number % 2 === 0 ? 'from' : 'to', number, number, number % 256, frameOf(number, length), 0, length);
			if (number % 37 !== 0 && number > 40) {
				continue;
			}

			const {recorded, overwritten, overwrittenUntil, frames} = ring.snapshot();
			const there: RingFrame[] = [...frames()];
			t.is(recorded, number + 1);
			t.is(overwritten + there.length, recorded);
			t.is(overwrittenUntil, overwritten === 0 ? undefined : overwritten - 1);
			t.true(there.length > 0);
			for (const [index, frame] of there.entries()) {
				const own = overwritten + index;
				t.is(frame.order, own);
				t.is(frame.time, own);
				t.is(frame.length, lengths[own]!);
				t.is(frame.code, own % 256);
				t.true(frame.bytes.equals(frameOf(own, Math.min(256, lengths[own]!))));
			}
		}
	}
});

test('of a size, as many frames are there as fit', (t) => {
	const ring = frameRing(8 * 1024, 256);
	for (let number = 0; number < 500; number++) {
		ring.add('from', number, number, 0, frameOf(number, 64), 0, 64);
	}

	// 24 bytes before each.
	t.is([...ring.snapshot().frames()].length, Math.floor((8 * 1024) / 88));
});

test('a snapshot stays as it is while others are recorded', (t) => {
	const ring = frameRing(1024, 256);
	for (let number = 0; number < 20; number++) {
		ring.add('from', number, number, 0, frameOf(number, 100), 0, 100);
	}

	const {frames} = ring.snapshot();
	for (let number = 20; number < 60; number++) {
		ring.add('from', number, number, 0, frameOf(number, 200), 0, 200);
	}

	const orders = [...frames()].map(({order}) => order);
	t.is(orders.at(-1), 19);
	t.deepEqual(orders, Array.from({length: orders.length}, (_, index) => 20 - orders.length + index));
});

test('where a frame went on to is told with it, and when it is overwritten', (t) => {
	const forgotten: string[] = [];
	const ring = frameRing(512, 256, (time, to) => forgotten.push(`${time} ${to}`));
	for (let number = 0; number < 6; number++) {
		ring.add('from', number, number, 0, frameOf(number, 100), 0, 100, number % 2 === 0 ? number * 10_000 : -1);
	}

	t.deepEqual([...ring.snapshot().frames()].map(({time, to}) => [time, to]), [[2, 20_000], [3, undefined], [4, 40_000], [5, undefined]]);
	t.deepEqual(forgotten, ['0 0', '1 -1']);
});

test('the longest frame keeps its length, beside the highest code and the last direction', (t) => {
	const ring = frameRing(4096, 64);
	ring.add('to', 1, 2, 255, Buffer.alloc(69_632, 9), 0, 69_632, 65_534);
	t.deepEqual([...ring.snapshot().frames()], [{time: 1, order: 2, direction: 'to', length: 69_632, code: 255, bytes: Buffer.alloc(64, 9), to: 65_534}]);
});

test('an empty ring has nothing', (t) => {
	t.deepEqual([...frameRing(1024, 256).snapshot().frames()], []);
});
