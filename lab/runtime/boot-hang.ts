/**
 * Machines that hang while they boot, and are started again. Under QEMU 7.2's emulation of several processors it was seen in some fifty boots
 * once that a kernel does not come to its first process, all processors spinning. A machine may also stand still later, without anything that
 * listens to the host. A first boot that was cut short is done again by the machine itself (init.sh), so nothing is lost; and each is told.
 */
import path from 'node:path';
import type {EventSink} from '../event/event.ts';
import {until} from '../host/wait.ts';
import {consoleLogOf, tailOf} from './console-tail.ts';

/** At KVM speed, in milliseconds: twice what a kernel takes to its first process. */
const kernelDeadline = 1500;
/** No host is so fast that less would tell a hang from a hiccup. */
const shortestPatience = 10_000;
/** How often a machine is started again before its silence is left to be told as such. */
const mostResets = 3;
/**
 * A machine stands still that was worked for less than this (seconds) in so long a time (milliseconds). One that boots takes seconds of work until it answers,
 * without a pause. One that stands has its timers still: 0.1 to 0.2 s of work were seen.
 */
const leastWork = 0.5;
const stillFor = 30_000;

/** What init.sh says where the kernel misjudged its clock, and what the kernel says to that: neither is a first process that goes on. */
const startsAgain = /vmlab: .* so the machine starts again/;
const restarting = /reboot: /;

/** A machine that was just started. */
export interface StartingMachine {
	readonly name: string;
	/** The lab's folder. */
	readonly folder: string;
	/** The factor for deadlines. */
	readonly pace: number;
	readonly events: EventSink;
	readonly signal: AbortSignal;
	/** Starts the machine again from its power-on. */
	reset(): Promise<void>;
	/** Is it stopped on purpose, so that it does not hang? */
	isStopped(): boolean;
	/** The seconds that this computer's processors have worked for it so far; undefined where nothing follows from its standing still. */
	worked(): Promise<number | undefined>;
	/** Bytes of its console that were there before it was started. Default 0. */
	readonly consoleFrom?: number | undefined;
	/** Milliseconds before the first reset; each next one comes after twice the time. */
	readonly patience?: number;
}

/** What is looked for in a machine before it is started again. */
interface Hang {
	/** What the machine did not do, or did, for which it is started again. */
	readonly told: string;
	/** Waits for it: false where there is none to wait for any more. */
	readonly hangs: () => Promise<boolean>;
}

/** Starts a machine again each time that it hangs. Never rejects: what it is of no use to start again is told by those who wait for its answer. */
async function restartEachTime({events, signal, reset, isStopped}: StartingMachine, next: (resets: number) => Hang): Promise<void> {
	let resets = 0;
	while (resets < mostResets) {
		const {told, hangs} = next(resets);
		if (!await hangs() || signal.aborted) {
			return;
		}

		if (isStopped()) {
			continue;
		}

		resets += 1;
		events({type: 'note', level: 'warning', text: `${told}: it is started again`});
		await reset().catch(() => {});
	}
}

/**
 * Waits for the first line on a machine's console, which its first process writes, and resets a machine that writes none.
 * Never rejects: a machine that stays silent is told of by those who wait for its answer.
 */
export async function awaitFirstProcess(machine: StartingMachine): Promise<void> {
	const {name, folder, pace, signal, consoleFrom, patience} = machine;
	const log = path.join(folder, consoleLogOf(name));
	await restartEachTime(machine, (resets) => {
		const deadline = (patience ?? Math.max(shortestPatience, kernelDeadline * pace)) * 2 ** resets;
		/** Each kernel has the whole time: the one that comes after one that started the machine again too. */
		const hangs = async (starts: number): Promise<boolean> => {
			const found = await until<'runs' | number>(
				`${name} runs its first process`,
				async () => {
					const lines = await tailOf(log, undefined, consoleFrom);
					const begins = lines.findLastIndex((line) => startsAgain.test(line)) + 1;
					const isThere = lines.slice(begins).some((line) => !restarting.test(line));
					const again = lines.filter((line) => startsAgain.test(line)).length;
					return isThere ? {met: true, value: 'runs'} : again > starts ? {met: true, value: again} : {met: false, seen: begins === 0 ? 'an empty console' : 'that it starts again'};
				},
				{deadline, signal},
			).catch(() => 'hangs' as const);
			return typeof found === 'number' ? hangs(found) : found === 'hangs';
		};

		return {
			told: `${name} did not come to its first process within ${Math.round(deadline / 1000)} s`,
			hangs: async () => hangs(0),
		};
	});
}

/**
 * Resets a machine that stands still, until the signal aborts: for the time in which it is waited for. Never rejects.
 *
 * @param machine.patience milliseconds of standing still before each reset; the same whatever the pace, since it is this computer's work that is looked at
 */
export async function restartWhenStill(machine: StartingMachine): Promise<void> {
	const {name, signal, worked, patience = stillFor} = machine;
	await restartEachTime(machine, () => {
		let [work, since] = [-leastWork, performance.now()];
		return {
			told: `${name} stood still for ${Math.round(patience / 1000)} s in the middle of its boot`,
			hangs: async () => until(
				`${name} stands still`,
				async () => {
					const now = await worked();
					if (now === undefined || now - work >= leastWork) {
						[work, since] = [now ?? work, performance.now()];
					}

					return performance.now() - since >= patience ? {met: true, value: true} : {met: false, seen: `${now ?? 'nobody knows how many'} s of work`};
				},
				// As long as it is waited for: the signal ends it.
				{deadline: Number.POSITIVE_INFINITY, interval: patience / 10, signal},
			).catch(() => false),
		};
	});
}
