/**
 * The line over which a machine is told that it goes on as a fork. All forks of a frozen machine start from the same state of the kernel's random
 * number generator; what is sent here makes them differ. The guest's end is `vmlab-forked.service` of the overlay base.
 */
import {randomBytes} from 'node:crypto';
import {failure} from '../host/failure.ts';
import {plainText} from '../host/plain-text.ts';
import {until} from '../host/wait.ts';
import {connectConsole} from './console.ts';

/** Twice what the kernel's generator has as its key. */
const seedBytes = 64;
/** What the guest says is not kept beyond this, in characters. */
const longestAnswer = 1000;

/** Who is told, and how long it may take. */
export interface ForkLine {
	readonly machine: string;
	/** The socket's file. */
	readonly socket: string;
	/** The time that its clock is set to, in milliseconds since 1970; without it the clock goes on from where it was. */
	readonly clock?: number | undefined;
	/** Milliseconds. */
	readonly deadline: number;
	readonly signal?: AbortSignal | undefined;
}

/**
 * Gives a fork its own random numbers, and returns when its kernel has taken them.
 *
 * @throws `fork-silent`, the signal's reason, the system's error when there is no such socket
 */
export async function tellFork({machine, socket, clock, deadline, signal}: ForkLine): Promise<void> {
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
		line.write(`forked ${randomBytes(seedBytes).toString('hex')}${clock === undefined ? '' : ` clock ${(clock / 1000).toFixed(3)}`}\n`);
		await until(
			`${machine} has taken its new random numbers`,
			async () => (/^seeded$/m.test(heard) ? {met: true, value: undefined} : {met: false, seen: seen()}),
			{deadline, interval: 20, ...(signal && {signal})},
		).catch((error: unknown) => {
			signal?.throwIfAborted();
			throw error instanceof Error && 'code' in error && error.code === 'wait-expired' ? failure.forkSilent(machine, deadline / 1000, seen()) : error;
		});
	} finally {
		line.destroy();
	}
}
