/** Waiting, by a clock that the test holds. */
import test from 'ava';
import type {DropReason} from '../../lab/fabric/counters.ts';
import {headerBytes} from '../../lab/fabric/framing.ts';
import {defaultLimit, type ImpairedPath, mostWaitingBytes, openPath, type WaitingFrame} from '../../lab/fabric/impaired-path.ts';
import {type ImpairmentInForce, plainLink} from '../../lab/fabric/link-setting.ts';
import type {Impairment} from '../../lab/spec/impairment.ts';
import {ethernetFrame, everybody, mac, payloadOf, withHeader} from './ethernet-frame.ts';

interface Scene {
	readonly path: ImpairedPath;
	/** What has come through, with when: 'one at 20'. */
	readonly passed: string[];
	readonly dropped: DropReason[];
	readonly wakes: number[];
	readonly effects: {corrupted: number; duplicated: number; reordered: number};
	send(...payloads: string[]): void;
	/** Sets the clock, and lets go what is due, at the time at which it is. */
	until(time: number): void;
}

function scene(impairments: ReadonlyArray<Omit<ImpairmentInForce, 'direction'>>, {waiting = [], start = 0, length = 60}: {waiting?: readonly WaitingFrame[]; start?: number; length?: number} = {}): Scene {
	const clock = {now: start};
	const passed: string[] = [];
	const dropped: DropReason[] = [];
	const wakes: number[] = [];
	const effects = {corrupted: 0, duplicated: 0, reordered: 0};
	const path = openPath({
		link: 'node-1@cluster', direction: 'to', effects, now: () => clock.now,
		pass(buffer, from, to) {
			passed.push(`${payloadOf(buffer.subarray(from + headerBytes, to))} at ${clock.now}`);
		},
		drop: (reason) => dropped.push(reason),
		wake: (due) => wakes.push(due),
	}, setting(impairments), waiting);
	return {
		path, passed, dropped, wakes, effects,
		send(...payloads) {
			for (const payload of payloads) {
				const frame = withHeader(ethernetFrame(mac(1), mac(0), payload, length));
				path.take(frame, 0, frame.length);
			}
		},
		until(time) {
			while (path.due !== undefined && path.due <= time) {
				clock.now = path.due;
				path.release();
			}

			clock.now = time;
		},
	};
}

const setting = (impairments: ReadonlyArray<Omit<ImpairmentInForce, 'direction'>>) => ({...plainLink, impairments: impairments.map((impairment) => ({direction: 'to' as const, ...impairment}))});

test('a delayed frame comes when its time has come, and is told of before', (t) => {
	const {path, passed, wakes, send, until} = scene([{delay: 20}]);
	send('one');
	until(5);
	send('two');
	t.deepEqual(wakes, [20, 25]);
	until(19.9);
	t.deepEqual(passed, []);
	t.is(path.due, 20);
	until(24);
	t.deepEqual(passed, ['one at 20']);
	until(100);
	t.deepEqual(passed, ['one at 20', 'two at 25']);
	t.is(path.due, undefined);
	t.is(path.waiting, 0);
});

test('frames of one time keep their order', (t) => {
	const {passed, send, until} = scene([{delay: 1}]);
	const payloads = Array.from({length: 50}, (_, index) => `f${index}`);
	send(...payloads);
	until(1);
	t.deepEqual(passed, payloads.map((payload) => `${payload} at 1`));
});

test('frames that go ahead overtake those that are delayed', (t) => {
	const {passed, effects, send, until} = scene([{delay: 10, reorder: 0.5}]);
	send(...Array.from({length: 100}, (_, index) => `${index}`));
	until(10);
	const ahead = passed.filter((each) => each.endsWith('at 0')).length;
	t.is(passed.length, 100);
	t.is(effects.reordered, ahead);
	t.true(ahead > 25 && ahead < 75);
});

test('with jitter frames overtake each other', (t) => {
	const {passed, send, until} = scene([{delay: 10, jitter: 5}]);
	const payloads = Array.from({length: 100}, (_, index) => `${index}`);
	send(...payloads);
	until(15);
	t.is(passed.length, 100);
	const order = passed.map((each) => each.split(' ')[0]!);
	t.notDeepEqual(order, payloads);
	t.deepEqual([...order].sort(), [...payloads].sort());
});

test('at a rate one frame leaves after the other, and a line that was idle owes nothing', (t) => {
	// 60 bytes at 480 kbit/s take a millisecond.
	const {passed, send, until} = scene([{rate: 480_000}]);
	send('one', 'two', 'three');
	until(10);
	send('four');
	until(20);
	t.deepEqual(passed, ['one at 1', 'two at 2', 'three at 3', 'four at 11']);
});

test('rate and delay add up, as on a long line', (t) => {
	const {passed, send, until} = scene([{rate: 480_000, delay: 100}]);
	send('one', 'two');
	until(200);
	t.deepEqual(passed, ['one at 101', 'two at 102']);
});

test('more frames than may wait are lost, and counted; there is room again when some have left', (t) => {
	const {passed, dropped, send, until} = scene([{rate: 480_000, limit: {frames: 3}}]);
	send('1', '2', '3', '4', '5');
	t.deepEqual(dropped, ['queue-full', 'queue-full']);
	until(2);
	send('6', '7', '8');
	until(100);
	t.deepEqual(passed, ['1 at 1', '2 at 2', '3 at 3', '6 at 4', '7 at 5']);
	t.is(dropped.length, 3);
});

test('a limit may be in bytes', (t) => {
	const {dropped, path, send} = scene([{delay: 10, limit: {bytes: 150}}]);
	send('1', '2', '3');
	t.deepEqual(dropped, ['queue-full']);
	t.is(path.waiting, 2);
});

test('without a limit a thousand frames wait, and never more bytes than are kept', (t) => {
	const usual = scene([{delay: 10}]);
	usual.send(...Array.from({length: defaultLimit + 5}, () => 'x'));
	t.is(usual.path.waiting, defaultLimit);
	t.is(usual.dropped.length, 5);
	const length = 9000;
	const long = scene([{delay: 10, limit: {frames: 100_000}}], {length});
	const fits = Math.floor(mostWaitingBytes / (length + headerBytes));
	long.send(...Array.from({length: fits + 5}, () => 'x'));
	t.is(long.path.waiting, fits);
	t.deepEqual([...new Set(long.dropped)], ['queue-full']);
	// What has left is not counted any more.
	long.until(10);
	long.send('x');
	t.is(long.path.waiting, 1);
});

test('a cut lets nothing pass, and without a carrier nothing does either, of what waits too', (t) => {
	const cut = scene([{cut: true}]);
	cut.send('one');
	t.deepEqual([cut.passed, cut.dropped], [[], ['cut']]);
	const {path, passed, dropped, send, until} = scene([{delay: 10}]);
	send('one');
	path.set({...setting([{delay: 10}]), carrier: 'down'});
	send('two');
	until(20);
	t.deepEqual([passed, dropped], [[], ['no-carrier', 'no-carrier']]);
	path.set(setting([]));
	send('three');
	t.deepEqual(passed, ['three at 20']);
});

test('frames that are longer than the MTU vanish; their Ethernet header and tags do not count', (t) => {
	const {path, passed, dropped} = scene([{mtu: 46}]);
	const tagged = Buffer.concat([ethernetFrame(mac(1), mac(0)).subarray(0, 12), Buffer.from('81000007', 'hex'), ethernetFrame(mac(1), mac(0), 'tagged', 60).subarray(12)]);
	for (const frame of [ethernetFrame(mac(1), mac(0), 'fits', 60), ethernetFrame(mac(1), mac(0), 'too long', 61), tagged].map((each) => withHeader(each))) {
		path.take(frame, 0, frame.length);
	}

	t.is(passed.length, 2);
	t.deepEqual(dropped, ['too-long']);
});

test('a frame that comes twice does so, each with its delay', (t) => {
	const {passed, effects, send, until} = scene([{duplicate: 1, delay: 10, jitter: 5}]);
	send('one');
	until(20);
	t.is(passed.length, 2);
	t.not(passed[0], passed[1]);
	t.is(effects.duplicated, 1);
});

test('a frame is up to the first impairment that means it, and only that one counts it', (t) => {
	const rules: Array<Omit<ImpairmentInForce, 'direction'>> = [{match: {sourceMac: mac(7)}, cut: true}, {match: {sourceMac: mac(0)}, delay: 5}, {loss: 1}];
	const {path, passed, dropped, send, until} = scene(rules);
	send('mine');
	for (const from of [7, 8]) {
		const frame = withHeader(ethernetFrame(everybody, mac(from)));
		path.take(frame, 0, frame.length);
	}

	until(5);
	t.deepEqual(passed, ['mine at 5']);
	t.deepEqual(dropped, ['cut', 'loss']);
	t.deepEqual(setting(rules).impairments.map((rule) => path.progressOf(rule)?.frames), [1, 1, 1]);
});

test('an impairment goes on when another is set beside it, and begins anew when it is changed', (t) => {
	const {path, send} = scene([{loss: 0.5}]);
	send('1', '2', '3');
	const [whole] = setting([{loss: 0.5}]).impairments;
	path.set(setting([{match: {protocol: 'tcp'}, cut: true}, {loss: 0.5}]));
	t.is(path.progressOf(whole!)?.frames, 3);
	path.set(setting([{loss: 0.4}]));
	t.is(path.progressOf(setting([{loss: 0.4}]).impairments[0]!)?.frames, 0);
	path.set(setting([{loss: 0.5, progress: {frames: 3, inBurst: false, busy: 0}}]));
	t.is(path.progressOf(whole!)?.frames, 3, 'one that is put back goes on from where it was');
});

test('who goes on from what waits and from the progress gives what the first one would have, after as long', (t) => {
	const impairment: Omit<Impairment, 'direction'> = {delay: 20, jitter: 5, loss: 0.3, rate: 480_000, limit: {frames: 8}};
	const [before, after] = [['a', 'b', 'c', 'd', 'e'], ['f', 'g', 'h', 'i', 'j', 'k', 'l']];
	const first = scene([impairment]);
	first.send(...before);
	first.until(3);
	const waiting = JSON.parse(JSON.stringify(first.path.frames())) as WaitingFrame[];
	t.true(waiting.length > 0);
	const progress = first.path.progressOf({direction: 'to', ...impairment})!;
	const second = scene([{...impairment, progress}], {waiting, start: 1003});
	for (const {send, until} of [first, second]) {
		send(...after);
		until(2000);
	}

	t.deepEqual(second.passed.map((each) => each.split(' ')[0]), first.passed.map((each) => each.split(' ')[0]));
	const times = (passed: readonly string[]): number[] => passed.map((each) => Number(each.split(' at ')[1]));
	t.true(times(second.passed).every((time, index) => Math.abs(time - 1000 - times(first.passed)[index]!) < 0.001), second.passed.join(', '));
	t.deepEqual(second.dropped, first.dropped.slice(-second.dropped.length));
});

test('frames shorter than an Ethernet header are of no use to anybody, and harm no impairment', (t) => {
	const {path, passed} = scene([{corrupt: 1, mtu: 1500, match: {protocol: 'tcp'}}, {corrupt: 1, mtu: 1500}]);
	for (const length of [0, 1, 13, 14]) {
		const frame = withHeader(Buffer.alloc(length));
		path.take(frame, 0, frame.length);
	}

	t.is(passed.length, 4);
});
