import test from 'ava';
import {frameReader, headerBytes, longestFrame} from '../../lab/fabric/framing.ts';
import {withHeader} from './ethernet-frame.ts';

function frames(chunks: readonly Buffer[]): {frames: Buffer[]; whole: boolean} {
	const reader = frameReader();
	const taken: Buffer[] = [];
	let whole = true;
	for (const chunk of chunks) {
		whole &&= reader.read(chunk, (buffer, start, end) => taken.push(Buffer.from(buffer.subarray(start + headerBytes, end))));
	}

	return {frames: taken, whole};
}

/** Frames of different lengths, of different bytes. */
const samples = [60, 0, 1, 1514, 4, 9000, longestFrame].map((length, index) => Buffer.alloc(length, index + 1));
const stream = Buffer.concat(samples.map((frame) => withHeader(frame)));

test('frames that come in one chunk are told apart', (t) => {
	const {frames: taken, whole} = frames([stream]);
	t.true(whole);
	t.deepEqual(taken.map(({length}) => length), samples.map(({length}) => length));
});

for (const size of [1, 2, 3, 5, 7, 61, 1000, 65_536]) {
	test(`frames are put together from chunks of ${size} bytes`, (t) => {
		const chunks: Buffer[] = [];
		for (let at = 0; at < stream.length; at += size) {
			chunks.push(stream.subarray(at, at + size));
		}

		// By their bytes: a difference of buffers takes the test runner seconds to tell.
		const {frames: taken, whole} = frames(chunks);
		t.true(whole && taken.length === samples.length && taken.every((frame, index) => frame.equals(samples[index]!)));
	});
}

test('a frame that is not complete is not given', (t) => {
	t.deepEqual(frames([withHeader(Buffer.alloc(100)).subarray(0, 103)]), {frames: [], whole: true});
});

test('a length that no frame has breaks the stream, after the frames before it', (t) => {
	const hostile = Buffer.alloc(4);
	hostile.writeUInt32BE(longestFrame + 1);
	t.deepEqual(frames([Buffer.concat([withHeader(Buffer.alloc(60, 1)), hostile])]), {frames: [Buffer.alloc(60, 1)], whole: false});
	t.false(frames([hostile.subarray(0, 3), hostile.subarray(3)]).whole);
	t.false(frames([Buffer.from('GET / HTTP/1.1\r\n\r\n')]).whole);
});

test('frames of one chunk touch each other, so that they can go on as one piece', (t) => {
	const pieces: Array<[number, number]> = [];
	frameReader().read(Buffer.concat([withHeader(Buffer.alloc(60)), withHeader(Buffer.alloc(80))]), (_, start, end) => pieces.push([start, end]));
	t.deepEqual(pieces, [[0, 64], [64, 148]]);
});
