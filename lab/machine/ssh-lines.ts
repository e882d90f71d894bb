/**
 * The connections to one machine: each carries one command at a time, and there are as many as commands at once.
 *
 * SSH could carry many commands over one connection (RFC 4254, 5), and it would save handshakes. But dropbear 2022.83
 * (bookworm's) takes a channel that was opened, and whose command it has not been told yet, for one that is done, when the
 * command of another channel ends at that moment: commands are then lost, or never end. The same can meet the next command
 * on a connection, so one is used again only when the server has been heard from after a command's end.
 */
import {failure} from '../host/failure.ts';
import {type ConnectOptions, machineName, openLine, type SshLine} from './ssh-line.ts';

/** Connections at once to one machine; who wants more waits. */
const mostLines = 8;
/** Milliseconds for the last word of a server after a command: without it the connection is not used again. */
const longestHearing = 10_000;
/** Milliseconds for a connection to end by itself: who does not read any more never ends it. */
const endGrace = 2000;

/** Connections to a machine, taken and given back. */
export interface SshLines {
	/**
	 * Gives a connection of one's own to `use`, new or used before; it is used again unless `use` throws.
	 *
	 * @throws `ssh-lost` when all have ended; what `openLine` throws; the signal's reason when it aborts the wait for one
	 */
	use<Value>(use: (line: SshLine) => Promise<Value>, signal?: AbortSignal): Promise<Value>;
	/** The same, with a connection that ends afterwards: for what may still be ending over there when `use` is done. */
	useOnce<Value>(use: (line: SshLine) => Promise<Value>, signal?: AbortSignal): Promise<Value>;
	/** Resolves when none is left. */
	readonly closed: Promise<void>;
	close(): void;
}

/** Opens the first connection. Throws what `openLine` throws. */
export async function openLines(options: ConnectOptions): Promise<SshLines> {
	const all = new Set<SshLine>();
	const idle: SshLine[] = [];
	const waiting: Array<(line?: SshLine) => void> = [];
	let opening = 0;
	let last: SshLine | undefined;
	let isOver = false;
	let endClosed: () => void = () => {};
	const closed = new Promise<void>((resolve) => {
		endClosed = resolve;
	});

	const open = async (signal?: AbortSignal): Promise<SshLine> => {
		opening += 1;
		try {
			const line = await openLine({...options, signal: joined(options.signal, signal)});
			if (isOver) {
				end(line);
			}

			all.add(line);
			last = line;
			line.client.once('close', () => {
				const isExpected = !all.delete(line);
				if (idle.includes(line)) {
					idle.splice(idle.indexOf(line), 1);
				}

				if (all.size === 0 && opening === 0 && (isOver || !isExpected)) {
					isOver = true;
					endClosed();
				}

				// One that waits may now open one, or learn that there is none.
				waiting.shift()?.();
			});
			return line;
		} catch (error) {
			// Another one that waits may open one in its place.
			waiting.shift()?.();
			throw error;
		} finally {
			opening -= 1;
		}
	};

	const lost = (): Error => {
		const why = last?.lostBecause();
		return failure.sshLost(machineName(options), why?.reason ?? 'it was closed', why?.cause);
	};

	const take = async (signal: AbortSignal | undefined): Promise<SshLine> => {
		for (;;) {
			signal?.throwIfAborted();
			if (isOver) {
				throw lost();
			}

			const line = idle.pop();
			if (line !== undefined) {
				return line;
			}

			if (all.size + opening < mostLines) {
				return open(signal);
			}

			const given = await new Promise<SshLine | undefined>((resolve) => {
				const entry = (line?: SshLine): void => {
					signal?.removeEventListener('abort', stop);
					resolve(line);
				};
				const stop = (): void => {
					waiting.splice(waiting.indexOf(entry), 1);
					resolve(undefined);
				};

				signal?.addEventListener('abort', stop, {once: true});
				waiting.push(entry);
			});
			if (given !== undefined) {
				return given;
			}
		}
	};

	const giveBack = (line: SshLine): void => {
		if (!all.has(line)) {
			return;
		}

		const next = waiting.shift();
		if (next === undefined) {
			idle.push(line);
		} else {
			next(line);
		}
	};

	/** A command that was given up may still be ending over there: nothing else should meet it. */
	const discard = (line: SshLine): void => {
		all.delete(line);
		end(line);
		waiting.shift()?.();
	};

	idle.push(await open());
	return {
		async use(use, signal) {
			const line = await take(signal);
			try {
				const value = await use(line);
				if (await isHeard(line, signal)) {
					giveBack(line);
				} else {
					discard(line);
				}

				return value;
			} catch (error) {
				discard(line);
				throw error;
			}
		},
		async useOnce(use, signal) {
			const line = await take(signal);
			try {
				return await use(line);
			} finally {
				discard(line);
			}
		},
		closed,
		close() {
			isOver = true;
			if (all.size === 0) {
				endClosed();
			}

			for (const line of all) {
				end(line);
			}

			for (const wake of waiting.splice(0)) {
				wake();
			}
		},
	};
}

function joined(...signals: ReadonlyArray<AbortSignal | undefined>): AbortSignal {
	return AbortSignal.any(signals.filter((signal) => signal !== undefined));
}

/** Ends a connection, whether the other side has a part in it or not. */
function end({client, cut}: SshLine): void {
	const alarm = setTimeout(cut, endGrace).unref();
	client.once('close', () => {
		clearTimeout(alarm);
	});
	client.end();
}

/**
 * Waits for an answer of the server: what it had to do before, it has done then. The request, to end a forward that there
 * never was, is one that every server answers and none grants (RFC 4254, 7.1). False where it does not come in time, or the signal aborts before.
 */
async function isHeard({client}: SshLine, signal: AbortSignal | undefined): Promise<boolean> {
	return new Promise((resolve) => {
		const done = (heard: boolean): void => {
			clearTimeout(alarm);
			signal?.removeEventListener('abort', missed);
			client.off('close', missed);
			resolve(heard);
		};
		const missed = (): void => {
			done(false);
		};
		const alarm = setTimeout(missed, longestHearing);
		signal?.addEventListener('abort', missed, {once: true});
		client.once('close', missed);
		try {
			client.unforwardIn('127.0.0.1', 1, () => {
				done(true);
			});
		} catch {
			// It has ended.
			missed();
		}
	});
}
