/**
 * The logs of the machines' consoles stay within bounds, whatever the machines write: one that floods its console must not fill the disk. QEMU keeps
 * the log open and appends to it, so that it is cut as logrotate(8) has it with `copytruncate`: what was there is the file with `.1` then.
 */
import {copyFile, rm, stat, truncate} from 'node:fs/promises';
import {until} from '../host/wait.ts';

/** Bytes of a log that are enough for each of its two files. A boot writes some 30 KiB. */
const enough = 16 * 1024 ** 2;
/** Milliseconds between two looks. */
const pause = 5000;

/** The file that has what was cut from a log. */
export function cutPartOf(log: string): string {
	return `${log}.1`;
}

/**
 * Cuts each of these logs whenever it has become too long, until the signal aborts. Never rejects: a log that cannot be kept is emptied, and one that
 * is not there has nothing to be cut.
 */
export async function limitLogs(logs: readonly string[], {limit = enough, interval = pause, signal}: {limit?: number; interval?: number; signal: AbortSignal}): Promise<void> {
	await until(
		'the machines write no more',
		async () => {
			await Promise.all(logs.map(async (log) => cut(log, limit).catch(() => {})));
			return {met: false, seen: 'they may'};
		},
		// As long as the lab runs: the signal ends it.
		{deadline: Number.POSITIVE_INFINITY, interval, signal},
	).catch(() => {});
}

async function cut(log: string, limit: number): Promise<void> {
	if ((await stat(log)).size <= limit) {
		return;
	}

	try {
		await copyFile(log, cutPartOf(log));
	} catch {
		await rm(cutPartOf(log), {force: true});
	}

	await truncate(log);
}
