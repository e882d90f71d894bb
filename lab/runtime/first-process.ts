/**
 * A guest's kernel now and then hangs before its first process, all processors spinning: seen under QEMU 7.2's emulation of
 * several processors, once in some fifty boots. Nothing has been written by then, so the machine is started again, and that is told.
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
	/** Bytes of its console that were there before it was started. Default 0. */
	readonly consoleFrom?: number | undefined;
	/** Milliseconds before the first reset; each next one comes after twice the time. */
	readonly patience?: number;
}

/**
 * Waits for the first line on a machine's console, which its first process writes, and resets a machine that writes none.
 * Never rejects: a machine that stays silent is told of by those who wait for its answer.
 */
export async function awaitFirstProcess({name, folder, pace, events, signal, reset, consoleFrom, patience}: StartingMachine): Promise<void> {
	const log = path.join(folder, consoleLogOf(name));
	let deadline = patience ?? Math.max(shortestPatience, kernelDeadline * pace);
	for (let resets = 0; resets < mostResets && !signal.aborted; resets++) {
		try {
			await until(
				`${name} runs its first process`,
				async () => ((await tailOf(log, 1, consoleFrom)).length > 0 ? {met: true, value: undefined} : {met: false, seen: 'an empty console'}),
				{deadline, signal},
			);
			return;
		} catch {
			if (signal.aborted) {
				return;
			}
		}

		events({type: 'note', level: 'warning', text: `${name} did not come to its first process within ${Math.round(deadline / 1000)} s: it is started again`});
		await reset().catch(() => {});
		deadline *= 2;
	}
}
