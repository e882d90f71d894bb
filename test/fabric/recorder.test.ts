import test from 'ava';
import {frameRecorder, type Recorder} from '../../lab/fabric/recorder.ts';

/** A frame that has its number in its first bytes. */
function numbered(number: number): Buffer {
	const frame = Buffer.alloc(1000);
	frame.writeUInt32BE(number);
	return frame;
}

/** `0 from 7`: link, direction and number, of the frames that are there of these links. */
function told(recorder: Recorder, links: readonly number[]): string[] {
	return [...recorder.recorded(links).frames()].map(({link, direction, bytes, reason}) => `${link} ${direction} ${bytes.readUInt32BE(0)}${reason === undefined ? '' : `, ${reason}`}`);
}

test('a frame that went from one link to another is told of both, in its place among the others', (t) => {
	const recorder = frameRecorder(3);
	recorder.record(2, 'from', 1, numbered(1), 0, 1000);
	recorder.recordPassage(0, 1, 2, numbered(2), 0, 1000);
	recorder.record(1, 'to', 3, numbered(3), 0, 1000, 'lost');
	recorder.recordPassage(1, 0, 4, numbered(4), 0, 1000);
	t.deepEqual(told(recorder, [0, 1, 2]), ['2 from 1', '0 from 2', '1 to 2', '1 to 3, lost', '1 from 4', '0 to 4']);
	t.deepEqual(told(recorder, [1]), ['1 to 2', '1 to 3, lost', '1 from 4']);
	t.deepEqual(told(recorder, [0]), ['0 from 2', '0 to 4']);
	t.deepEqual(told(recorder, [2]), ['2 from 1']);
	t.deepEqual(recorder.recorded([0, 1, 2]).links.map(({recorded, overwritten}) => [recorded, overwritten]), [[2, 0], [3, 0], [1, 0]]);
	const orders = [...recorder.recorded([0, 1, 2]).frames()].map(({order}) => order);
	t.deepEqual(orders, [...orders].sort((a, b) => a - b));
	t.is(new Set(orders).size, orders.length);
});

test('a link has missed what was overwritten among the frames of another, and says so; the others have not', (t) => {
	const recorder = frameRecorder(3);
	const begun = recorder.recorded([2]).links[0]!.since;
	const count = 40_000;
	for (let number = 0; number < count; number++) {
		recorder.recordPassage(0, 1, 1_000_000 + number, numbered(number), 0, 1000);
	}

	recorder.recordPassage(2, 1, 1_000_000 + count, numbered(count), 0, 1000);
	recorder.recordPassage(1, 2, 1_000_001 + count, numbered(count + 1), 0, 1000);
	const {links} = recorder.recorded([0, 1, 2]);
	const [there, kept] = [told(recorder, [0]), told(recorder, [1])];
	t.true(there.length > 10_000 && there.length < count);
	t.is(kept.length, there.length + 2);
	t.deepEqual(links.map(({recorded, overwritten}) => [recorded, overwritten]), [[count, count - there.length], [count + 2, count - there.length], [2, 0]]);
	const since = 1_000_000 + count - there.length - 1;
	t.deepEqual(links.map((link) => link.since), [since, since, begun]);
	t.is(there.at(0), `0 from ${count - there.length}`);
});
