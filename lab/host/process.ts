/**
 * Whose process it is. A process id alone proves nothing, since ids are used again: a process is ours only if id, start
 * time and a marker on its command line agree (proc(5)).
 */
import {readFile} from 'node:fs/promises';
import {failure} from './failure.ts';
import {until} from './wait.ts';

/** What tells a process from another that has its id later. */
export interface ProcessIdentity {
	readonly pid: number;
	/** Clock ticks since the computer's boot: field 22 of /proc/PID/stat. */
	readonly startTime: string;
	/** A text that its command line has. */
	readonly marker: string;
}

/** The fields of /proc/PID/stat from the third on. */
async function fieldsOf(pid: number): Promise<string[]> {
	const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
	// The second field is the name in parentheses, and may itself have spaces and parentheses.
	return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

async function startTimeOf(pid: number): Promise<string | undefined> {
	try {
		const fields = await fieldsOf(pid);
		// A zombie has ended: it only waits to be asked for its exit code.
		return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
	} catch {
		return undefined;
	}
}

/** The seconds that processors have worked for a process so far, all its threads together. Throws when it has ended. */
export async function processorTimeOf(pid: number): Promise<number> {
	const fields = await fieldsOf(pid);
	// Linux gives both in hundredths, whatever it counts in itself (USER_HZ, times(2)).
	return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** The identity of a running process. Throws when there is none with that id. */
export async function identify(pid: number, marker: string): Promise<ProcessIdentity> {
	const startTime = await startTimeOf(pid);
	if (startTime === undefined) {
		throw failure.programFailed(marker, `has ended already (process ${pid})`, []);
	}

	return {pid, startTime, marker};
}

/** Is there a process with that id? Another one that has the id by now counts too: enough where to spare it does no harm. */
export async function hasProcess(pid: number): Promise<boolean> {
	return (await startTimeOf(pid)) !== undefined;
}

/** Does this very process still run? */
export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
	if ((await startTimeOf(identity.pid)) !== identity.startTime) {
		return false;
	}

	const commandLine = await readFile(`/proc/${identity.pid}/cmdline`, 'utf8').catch(() => '');
	return commandLine.replaceAll('\0', ' ').includes(identity.marker);
}

/**
 * Ends the process: SIGTERM, and SIGKILL after the grace (milliseconds; 0 kills at once). Returns when it is gone; one that
 * is gone already, or whose id now belongs to another, is left alone.
 */
export async function endProcess(identity: ProcessIdentity, options: {grace: number}): Promise<void> {
	const signals: Array<[NodeJS.Signals, number]> = [...(options.grace > 0 ? [['SIGTERM', options.grace] as [NodeJS.Signals, number]] : []), ['SIGKILL', 10_000]];
	for (const [signal, deadline] of signals) {
		if (!(await isAlive(identity))) {
			return;
		}

		try {
			process.kill(identity.pid, signal);
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code === 'ESRCH') {
				return;
			}

			throw error;
		}

		try {
			await until(
				`process ${identity.pid} (${identity.marker}) ends after ${signal}`,
				async () => ((await isAlive(identity)) ? {met: false, seen: 'it runs'} : {met: true, value: undefined}),
				{deadline, interval: 100},
			);
			return;
		} catch (error) {
			if (signal === 'SIGKILL') {
				throw error;
			}
		}
	}
}
