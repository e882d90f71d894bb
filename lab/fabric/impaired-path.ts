/** One direction of a link on which something is set: frames are lost, changed, or wait there. */
import {type LinkDirection} from '../spec/impairment.ts';
import type {DropReason} from './counters.ts';
import {framePredicate, type FramePredicate} from './frame-predicate.ts';
import {payloadAt} from './frame.ts';
import {headerBytes} from './framing.ts';
import {type Key, keyOf} from './generator.ts';
import {corrupted, decide, noProgress, type Progress} from './impairment.ts';
import {impairmentOf, type ImpairmentInForce, type LinkSetting} from './link-setting.ts';
import type {FrameHandler} from './port.ts';

/** Frames that wait for an impairment that does not say: the default of tc-netem(8). */
export const defaultLimit = 1000;
/** Bytes that wait in one direction of a link, whatever its impairments allow. */
export const mostWaitingBytes = 64 * 1024 * 1024;

/** Has a frame a longer payload than this? */
function isLonger(buffer: Buffer, start: number, end: number, mtu: number): boolean {
	const payload = payloadAt(buffer, start, end);
	return payload !== -1 && end - payload > mtu;
}

/** What impairments did to frames that went on. */
export interface Effects {
	corrupted: number;
	duplicated: number;
	/** Frames that went ahead of those that are delayed. */
	reordered: number;
}

/** A frame that waits, as JSON has it. */
export interface WaitingFrame {
	readonly direction: LinkDirection;
	/** Milliseconds that it has still to wait. */
	readonly left: number;
	/** The impairment that it waits for, by its place in the link's setting; not there where that was taken away. */
	readonly impairment?: number;
	/** In base64, with QEMU's header before it. */
	readonly frame: string;
}

/** What a path is between. */
export interface PathEnds {
	/** Of the link: its random numbers depend on it. */
	readonly link: string;
	readonly direction: LinkDirection;
	readonly effects: Effects;
	/** Milliseconds, of a clock that does not go back, and stands still while the network is held. */
	readonly now: () => number;
	/** Takes a frame that has come through, at once or later. The buffer is not changed afterwards. */
	readonly pass: FrameHandler;
	/** Told of each frame that does not, with why. */
	readonly drop: (reason: DropReason, ...frame: Parameters<FrameHandler>) => void;
	/** Told that a frame waits until then: `release` must be called. */
	readonly wake: (due: number) => void;
}

/** A path. */
export interface ImpairedPath {
	/** Takes a frame, with its header, as a piece of a buffer that others may read too. */
	readonly take: FrameHandler;
	/** Lets go what has waited long enough. */
	release(): void;
	/** When the next frame has, in milliseconds of `now`; undefined where none waits. */
	readonly due: number | undefined;
	/** Frames that wait. */
	readonly waiting: number;
	/** Sets what is set on the link. An impairment that is as it was goes on. */
	set(setting: LinkSetting): void;
	/** How far an impairment of the setting is. */
	progressOf(impairment: ImpairmentInForce): ImpairmentInForce['progress'];
	/** All frames that wait. */
	frames(): WaitingFrame[];
}

/** An impairment at work. */
interface Rule {
	readonly place: number;
	readonly impairment: ImpairmentInForce;
	readonly text: string;
	readonly means: FramePredicate | undefined;
	readonly key: Key;
	progress: Progress;
	/** Until when frames before the next one leave, at the impairment's rate. */
	busyUntil: number;
	waiting: number;
	waitingBytes: number;
}

interface Waiting {
	readonly due: number;
	readonly rule: Rule | undefined;
	readonly buffer: Buffer;
}

/** A path on which this is set, and on which these frames wait. */
export function openPath({link, direction, effects, now, pass, drop, wake}: PathEnds, initial: LinkSetting, waitingBefore: readonly WaitingFrame[] = []): ImpairedPath {
	let carrier = initial.carrier;
	let rules: readonly Rule[] = [];
	/** By the time at which they are due; those of one time in the order in which they came. */
	const queue: Waiting[] = [];
	let queuedBytes = 0;

	const ruleOf = (impairment: ImpairmentInForce, place: number, before: readonly Rule[]): Rule => {
		const text = JSON.stringify(impairmentOf(impairment));
		const known = before.find((rule) => rule.text === text);
		const {progress} = impairment;
		return known === undefined ? {
			place, impairment, text, means: framePredicate(impairment.match), key: keyOf(impairment.seed ?? 0, link, direction),
			progress: progress ?? noProgress, busyUntil: now() + (progress?.busy ?? 0), waiting: 0, waitingBytes: 0,
		} : Object.assign(known, {place});
	};

	const set = (setting: LinkSetting): void => {
		carrier = setting.carrier;
		const before = rules;
		rules = setting.impairments.flatMap((impairment, place) => (impairment.direction === direction ? [ruleOf(impairment, place, before)] : []));
	};

	/** Behind all that are due by then: those of one time stay in their order. */
	const placeFor = (due: number): number => {
		let [low, high] = [0, queue.length];
		while (low < high) {
			const middle = (low + high) >> 1;
			[low, high] = queue[middle]!.due <= due ? [middle + 1, high] : [low, middle];
		}

		return low;
	};

	const enqueue = (buffer: Buffer, due: number, rule: Rule | undefined): void => {
		queue.splice(placeFor(due), 0, {due, rule, buffer});
		queuedBytes += buffer.length;
		if (rule !== undefined) {
			rule.waiting += 1;
			rule.waitingBytes += buffer.length - headerBytes;
		}
	};

	const hasRoom = ({impairment: {limit = {frames: defaultLimit}}, waiting, waitingBytes}: Rule, bytes: number): boolean =>
		queuedBytes + bytes + headerBytes <= mostWaitingBytes && ('frames' in limit ? waiting < limit.frames : waitingBytes + bytes <= limit.bytes);

	/** Sends a frame on its way, as long as that takes by the rule. */
	const send = (rule: Rule, buffer: Buffer, start: number, end: number, delay: number, ahead: boolean): void => {
		const time = now();
		const {rate} = rule.impairment;
		const bytes = end - start - headerBytes;
		const leaves = rate === undefined || ahead ? time : Math.max(time, rule.busyUntil) + bytes * 8000 / rate;
		const due = leaves + delay;
		if (due <= time) {
			pass(buffer, start, end);
			return;
		}

		if (!hasRoom(rule, bytes)) {
			drop('queue-full', buffer, start, end);
			return;
		}

		if (rate !== undefined && !ahead) {
			rule.busyUntil = leaves;
		}

		// A copy: a frame that waits should not hold all that was read together with it.
		enqueue(Buffer.from(buffer.subarray(start, end)), due, rule);
		wake(due);
	};

	set(initial);
	for (const {left, frame, impairment} of waitingBefore) {
		enqueue(Buffer.from(frame, 'base64'), now() + left, rules.find(({place}) => place === impairment));
	}

	return {
		take(buffer, start, end) {
			if (carrier === 'down') {
				drop('no-carrier', buffer, start, end);
				return;
			}

			const first = start + headerBytes;
			const rule = rules.find(({means}) => means === undefined || means(buffer, first, end));
			if (rule === undefined) {
				pass(buffer, start, end);
				return;
			}

			const {cut, mtu} = rule.impairment;
			const {fate, progress} = decide(rule.impairment, rule.key, rule.progress);
			rule.progress = progress;
			if (cut === true) {
				drop('cut', buffer, start, end);
			} else if (fate.lost) {
				drop('loss', buffer, start, end);
			} else if (mtu !== undefined && isLonger(buffer, first, end, mtu)) {
				drop('too-long', buffer, start, end);
			} else {
				effects.reordered += fate.ahead ? 1 : 0;
				effects.corrupted += fate.corruptAt === undefined ? 0 : 1;
				effects.duplicated += fate.copyDelay === undefined ? 0 : 1;
				const [sent, from, to] = fate.corruptAt === undefined ? [buffer, start, end] : [corrupted(buffer, start, end, first, fate.corruptAt), 0, end - start];
				send(rule, sent, from, to, fate.delay, fate.ahead);
				if (fate.copyDelay !== undefined) {
					send(rule, sent, from, to, fate.copyDelay, fate.ahead);
				}
			}
		},
		release() {
			const time = now();
			const next = queue.findIndex(({due}) => due > time);
			for (const {rule, buffer} of queue.splice(0, next === -1 ? queue.length : next)) {
				queuedBytes -= buffer.length;
				if (rule !== undefined) {
					rule.waiting -= 1;
					rule.waitingBytes -= buffer.length - headerBytes;
				}

				if (carrier === 'down') {
					drop('no-carrier', buffer, 0, buffer.length);
				} else {
					pass(buffer, 0, buffer.length);
				}
			}
		},
		get due() {
			return queue[0]?.due;
		},
		get waiting() {
			return queue.length;
		},
		set,
		progressOf(impairment) {
			const rule = rules.find((candidate) => candidate.impairment === impairment || candidate.text === JSON.stringify(impairmentOf(impairment)));
			return rule && {...rule.progress, busy: Math.max(0, rule.busyUntil - now())};
		},
		frames: () => queue.map(({due, rule, buffer}) => ({
			direction, left: Math.max(0, due - now()), ...(rule !== undefined && rules.includes(rule) && {impairment: rule.place}), frame: buffer.toString('base64'),
		})),
	};
}
