/** Waiting: every wait has a sentence, a deadline and a last observation. There is no bare sleep. */
import {setTimeout as delay} from 'node:timers/promises';
import {type EventSink, noEvents} from '../event/event.ts';
import {failure} from './failure.ts';

/** What one look at the awaited thing gave: it holds, with a value, or not yet, with what was seen instead. */
export type Observation<Value> = {met: true; value: Value} | {met: false; seen: string};

/** How often it is told what is seen, in milliseconds. */
const tellEvery = 10_000;

/** How long, and how often, is looked. */
export interface WaitOptions {
	/** Milliseconds until the wait expires, already scaled to the machine's speed. */
	readonly deadline: number;
	/** Milliseconds between two looks at most; the pause grows from a tenth of this. Default 1000. */
	readonly interval?: number;
	readonly signal?: AbortSignal | undefined;
	readonly events?: EventSink;
}

/**
 * Looks again and again until the observation is met. An observation that throws counts as not met, with its message
 * as what was seen; a LabError of kind 'machine', 'interrupted' or 'declaration' (what is declared wrongly does not get right by waiting) ends the wait at once.
 *
 * @throws the `wait-expired` failure with the sentence and the last observation; where that threw, with what it threw as its cause
 */
export async function until<Value>(
	sentence: string,
	observe: (signal: AbortSignal | undefined) => Promise<Observation<Value>>,
	options: WaitOptions,
): Promise<Value> {
	const {deadline, interval = 1000, signal, events = noEvents} = options;
	const start = performance.now();
	const secondsSoFar = (): number => (performance.now() - start) / 1000;
	/** Tells that nobody waits any more, before it rejects. */
	const throwIfAborted = (): void => {
		if (signal?.aborted) {
			events({type: 'wait', reason: 'given-up', sentence, seconds: secondsSoFar(), last});
			signal.throwIfAborted();
		}
	};

	let last = 'nothing yet';
	let thrown: unknown;
	let pause = interval / 10;
	let told = start;
	events({type: 'wait', reason: 'started', sentence, deadline: deadline / 1000});
	for (;;) {
		throwIfAborted();
		try {
			const observation = await observe(signal);
			if (observation.met) {
				events({type: 'wait', reason: 'met', sentence, seconds: secondsSoFar()});
				return observation.value;
			}

			[last, thrown] = [observation.seen, undefined];
		} catch (error) {
			throwIfAborted();
			[last, thrown] = [error instanceof Error ? error.message : String(error), error];
			if (isFinal(error)) {
				events({type: 'wait', reason: 'expired', sentence, seconds: secondsSoFar(), last});
				throw error;
			}
		}

		const left = deadline - (performance.now() - start);
		if (left <= 0) {
			const seconds = secondsSoFar();
			events({type: 'wait', reason: 'expired', sentence, seconds, last});
			throw failure.waitExpired(sentence, seconds, last, thrown);
		}

		if (performance.now() - told >= tellEvery) {
			told = performance.now();
			events({type: 'wait', reason: 'unmet', sentence, seconds: (told - start) / 1000, last});
		}

		// Why it was aborted counts, which the next look begins with.
		await delay(Math.min(pause, left), undefined, {signal}).catch(() => {});
		pause = Math.min(pause * 1.5, interval);
	}
}

/** Milliseconds that a timer can have at most: what has more fires at once (setTimeout of Node.js). It is 24 days. */
export const longestTimer = 2 ** 31 - 1;

/** Aborts after this many milliseconds; nobody stays for it alone. */
function abortLater(controller: AbortController, time: number, reason: () => unknown): void {
	setTimeout(() => {
		controller.abort(reason());
	}, Math.min(time, longestTimer)).unref();
}

/**
 * A signal that aborts after this many milliseconds. AbortSignal.timeout refuses fractions, which scaled times have; and Node.js 20 forgets such a signal
 * where only AbortSignal.any of it is left, so that it never aborts. This one is held until then.
 */
export function timeLimit(time: number): AbortSignal {
	const limit = new AbortController();
	abortLater(limit, time, () => new DOMException('The time for it is over', 'TimeoutError'));
	return limit.signal;
}

/** A signal that aborts this many milliseconds after another has: what is under way then may still come to its end. */
export function graceAfter(signal: AbortSignal, time: number): AbortSignal {
	const late = new AbortController();
	onAbort(signal, () => {
		abortLater(late, time, () => signal.reason as unknown);
	});
	return late.signal;
}

/** The promise's value, or a rejection with the signal's reason as soon as that aborts, though the promise may hang. */
export async function untilAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
	let forget = (): void => {};
	const aborted = new Promise<never>((_resolve, reject) => {
		forget = onAbort(signal, () => {
			reject(signal.reason as Error);
		});
	});
	try {
		return await Promise.race([promise, aborted]);
	} finally {
		forget();
	}
}

/** Calls back when a signal aborts, at once where it has. Gives what forgets the call. */
function onAbort(signal: AbortSignal, aborted: () => void): () => void {
	signal.addEventListener('abort', aborted, {once: true});
	if (signal.aborted) {
		aborted();
	}

	return () => {
		signal.removeEventListener('abort', aborted);
	};
}

function isFinal(error: unknown): boolean {
	return error instanceof Error && 'kind' in error && (error.kind === 'machine' || error.kind === 'interrupted' || error.kind === 'declaration');
}
