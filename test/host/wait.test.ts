import {setImmediate} from 'node:timers/promises';
import {setFlagsFromString} from 'node:v8';
import {runInNewContext} from 'node:vm';
import test from 'ava';
import type {LabEvent} from '../../lab/event/event.ts';
import {failure} from '../../lab/host/failure.ts';
import {graceAfter, timeLimit, until} from '../../lab/host/wait.ts';

test('a wait gives the value when it is met, and tells how it went', async (t) => {
	const events: LabEvent[] = [];
	let looks = 0;
	const value = await until('the third look', async () => {
		looks += 1;
		return looks === 3 ? {met: true, value: 'here'} : {met: false, seen: `look ${looks}`};
	}, {deadline: 5000, interval: 10, events: (event) => events.push(event)});
	t.is(value, 'here');
	t.is(looks, 3);
	t.deepEqual(events.map((event) => event.type === 'wait' && event.reason), ['started', 'met']);
});

test('a wait that expires says what was last seen', async (t) => {
	const events: LabEvent[] = [];
	const error = await t.throwsAsync(until('a miracle', async () => ({met: false, seen: 'nothing special'}), {deadline: 60, interval: 10, events: (event) => events.push(event)}), {code: 'wait-expired'});
	t.regex(error!.message, /^a miracle: not within/);
	t.like(error, {kind: 'timeout', details: ['last seen: nothing special']});
	t.like(events.at(-1), {type: 'wait', reason: 'expired', last: 'nothing special'});
});

test('a look that fails is not met, with its message as what was seen', async (t) => {
	await t.throwsAsync(until('something', async () => {
		throw new Error('connection refused');
	}, {deadline: 40, interval: 10}), {code: 'wait-expired'}).then((error) => {
		t.like(error, {details: ['last seen: connection refused']});
	});
});

test('a machine that broke ends the wait at once', async (t) => {
	const events: LabEvent[] = [];
	let looks = 0;
	await t.throwsAsync(until('an answer', async () => {
		looks += 1;
		throw failure.machineBroke('node-1', 'it ended');
	}, {deadline: 60_000, events: (event) => events.push(event)}), {code: 'machine-broke'});
	t.is(looks, 1);
	t.like(events.at(-1), {type: 'wait', reason: 'expired', last: 'The machine node-1 broke: it ended'});
});

test('what is declared wrongly ends the wait at once', async (t) => {
	let looks = 0;
	await t.throwsAsync(until('a unit', async () => {
		looks += 1;
		throw failure.unitMissing('node-1', 'helo.service');
	}, {deadline: 60_000}), {code: 'unit-missing'});
	t.is(looks, 1);
});

test('an abort ends the wait with its reason', async (t) => {
	const controller = new AbortController();
	const events: LabEvent[] = [];
	const waiting = until('never', async () => ({met: false, seen: 'nothing'}), {deadline: 60_000, interval: 5000, signal: controller.signal, events: (event) => events.push(event)});
	await setImmediate();
	controller.abort(failure.interrupted('SIGINT'));
	await t.throwsAsync(waiting, {code: 'interrupted'});
	t.like(events.at(-1), {type: 'wait', reason: 'given-up', sentence: 'never', last: 'nothing'});
});

test.serial('what is seen is told every ten seconds while it is not met', async (t) => {
	const events: LabEvent[] = [];
	const {now} = performance;
	let ahead = 0;
	performance.now = () => now.call(performance) + ahead;
	try {
		let looks = 0;
		await until('the fifth look', async () => {
			looks += 1;
			ahead += 4000;
			return looks === 5 ? {met: true, value: undefined} : {met: false, seen: `look ${looks}`};
		}, {deadline: 60_000, interval: 10, events: (event) => events.push(event)});
	} finally {
		performance.now = now;
	}

	t.deepEqual(events.flatMap((event) => (event.type === 'wait' && event.reason === 'unmet' ? [event.last] : [])), ['look 3']);
});

test('a grace begins when its signal aborts, and ends with the reason of that', async (t) => {
	const controller = new AbortController();
	const late = graceAfter(controller.signal, 20);
	t.false(late.aborted);
	controller.abort(failure.interrupted('SIGINT'));
	t.false(late.aborted);
	const reason = await until('the grace is over', async () => (late.aborted ? {met: true, value: late.reason as unknown} : {met: false, seen: 'not yet'}), {deadline: 5000, interval: 10});
	t.is(reason, controller.signal.reason);
	t.false(graceAfter(controller.signal, 60_000).aborted, 'also where it has aborted before');
});

test('a time limit that is joined with another signal ends what it limits, though nothing else holds it', async (t) => {
	setFlagsFromString('--expose-gc');
	const collectGarbage = runInNewContext('gc') as () => void;
	let over: unknown;
	const limit = (): void => {
		AbortSignal.any([new AbortController().signal, timeLimit(200.5)]).addEventListener('abort', ({target}) => {
			over = (target as AbortSignal).reason;
		}, {once: true});
	};

	limit();
	await until('the time is over', async () => {
		collectGarbage();
		return over === undefined ? {met: false, seen: 'it is not'} : {met: true, value: undefined};
	}, {deadline: 10_000, interval: 50});
	t.is((over as Error).name, 'TimeoutError');
});
