/**
 * The line over which a machine is told that it goes on as a fork. All forks of a frozen machine start from the same state of the kernel's random
 * number generator; what is sent here makes them differ. Generators inside of processes differ when these are restarted. The guest's end is `vmlab-forked.service` of the overlay base.
 */
import {randomBytes} from 'node:crypto';
import {failure} from '../host/failure.ts';
import {plainText} from '../host/plain-text.ts';
import {until} from '../host/wait.ts';
import {connectConsole} from './console.ts';

/** Twice what the kernel's generator has as its key. */
const seedBytes = 64;
/** What the guest says is not kept beyond this, in characters. */
const longestAnswer = 4000;

/** Who is told, and how long it may take. */
export interface ForkLine {
	readonly machine: string;
	/** The socket's file. */
	readonly socket: string;
	/** The time that its clock is set to, in milliseconds since 1970; without it the clock goes on from where it was. */
	readonly clock?: number | undefined;
	/** systemd units that are restarted when the kernel has new random numbers. */
	readonly restart?: readonly string[] | undefined;
	/** Milliseconds for the random numbers, and for the units once more. */
	readonly deadline: number;
	readonly restartDeadline?: number | undefined;
	readonly signal?: AbortSignal | undefined;
}

/**
 * Gives a fork its own random numbers, and returns when its kernel has taken them, and the units that must not go on as they were run anew.
 *
 * @throws `fork-silent`, `fork-restart-failed`, the signal's reason, the system's error when there is no such socket
 */
export async function tellFork({machine, socket, clock, restart = [], deadline, restartDeadline = 0, signal}: ForkLine): Promise<void> {
	const line = await connectConsole(socket);
	let heard = '';
	const seen = (): string => (heard === '' ? 'silence' : plainText(heard));
	line.setEncoding('latin1');
	line.on('data', (text: string) => {
		heard = (heard + text).slice(-longestAnswer);
	});
	// That the machine has ended is told by who watches it.
	line.on('error', () => {});
	try {
		const words = [
			'forked', randomBytes(seedBytes).toString('hex'),
			...(clock === undefined ? [] : ['clock', (clock / 1000).toFixed(3)]),
			...(restart.length === 0 ? [] : ['restart', ...restart]),
		];
		line.write(`${words.join(' ')}\n`);
		const total = restart.length === 0 ? deadline : deadline + restartDeadline;
		await until(
			`${machine} has taken its new random numbers`,
			async () => {
				const failed = /^not restarted: (.*)[\r\n]/m.exec(heard)?.[1];
				if (failed !== undefined) {
					const named = restart.filter((unit) => failed.includes(unit));
					throw failure.forkRestartFailed(machine, named.length === 0 ? restart : named, plainText(failed));
				}

				return /^seeded$/m.test(heard) ? {met: true, value: undefined} : {met: false, seen: seen()};
			},
			{deadline: total, interval: 5, ...(signal && {signal})},
		).catch((error: unknown) => {
			signal?.throwIfAborted();
			if (!(error instanceof Error && 'code' in error && error.code === 'wait-expired')) {
				throw error;
			}

			throw /^restarting$/m.test(heard)
				? failure.forkRestartFailed(machine, restart, `not within ${Math.round(total / 1000)} s`)
				: failure.forkSilent(machine, total / 1000, seen());
		});
	} finally {
		line.destroy();
	}
}
