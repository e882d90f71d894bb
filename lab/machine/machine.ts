/** One virtual machine: the QEMU process, its monitor, and its end. */
import {stat} from 'node:fs/promises';
import path from 'node:path';
import type {LabError} from '../host/error.ts';
import {readEnd} from '../host/file-end.ts';
import {failure} from '../host/failure.ts';
import {identify, type ProcessIdentity} from '../host/process.ts';
import {spawnDaemon} from '../host/program.ts';
import {until} from '../host/wait.ts';
import {machineArguments, machineMarker} from './arguments.ts';
import {connectQmp, type Qmp} from './qmp.ts';
import type {MachineSpecification} from './specification.ts';

/** The program that runs machines. */
export const qemuProgram = 'qemu-system-x86_64';

/** How QEMU ended: an exit code, or a signal. */
export interface MachineEnd {
	readonly code: number | null;
	readonly signal: string | null;
}

/** A running machine. */
export interface Machine {
	readonly name: string;
	readonly pid: number;
	readonly identity: ProcessIdentity;
	readonly qmp: Qmp;
	/** Resolves when QEMU has ended, however it did; never rejects. */
	readonly ended: Promise<MachineEnd>;
	/** The error for an end that nobody asked for, with QEMU's last words. Resolves only when QEMU has ended. */
	explainEnd(): Promise<LabError>;
	/**
	 * Ends the machine: with a grace (milliseconds, default 0) its power button is pressed first and the guest may shut down
	 * for so long; then QEMU is told to quit, and killed where it does not. Returns when the process is gone.
	 */
	powerOff(options?: {grace?: number}): Promise<void>;
	/** Kills QEMU. Returns when the process is gone. */
	kill(): Promise<void>;
}

/** How a machine is started. */
export interface StartOptions {
	/** The working folder of QEMU: relative paths of the specification start here. */
	readonly cwd: string;
	readonly signal?: AbortSignal | undefined;
	/** Milliseconds until QEMU's monitor must answer (the host's work, not the guest's). Default 30 000. */
	readonly deadline?: number;
}

/** How long QEMU may take to obey `quit`, in milliseconds: it flushes the disk. */
const quitDeadline = 5000;
/** How much of the end of QEMU's log is read for its last words, in bytes. */
const lastWordsBytes = 8192;

/**
 * Starts QEMU and returns when its monitor answers; the guest runs by then. QEMU is our direct child and the kernel kills it
 * with us.
 *
 * @throws `port-taken` when a host port of a forward is in use (choose another and start again), `machine-exited` with
 * QEMU's last words when it ends at once, `wait-expired`, `program-missing`
 */
export async function startMachine(spec: MachineSpecification, options: StartOptions): Promise<Machine> {
	const {cwd, signal, deadline = 30_000} = options;
	signal?.throwIfAborted();
	const log = path.resolve(cwd, spec.log);
	const logStart = await stat(log).then(({size}) => size, () => 0);
	const daemon = await spawnDaemon(qemuProgram, machineArguments(spec), {cwd, log});
	let end: MachineEnd | undefined;
	const ended = daemon.ended.then((outcome) => {
		end = outcome;
		return outcome;
	});

	const gone = async (milliseconds: number, sentence: string): Promise<void> => until(
		`the machine ${spec.name} ${sentence}`,
		async () => (end === undefined ? {met: false, seen: `QEMU runs, process ${daemon.pid}`} : {met: true, value: undefined}),
		{deadline: milliseconds, interval: 100},
	);
	const kill = async (): Promise<void> => {
		daemon.kill('SIGKILL');
		await gone(10_000, 'ends after SIGKILL');
	};

	const explainEnd = async (): Promise<LabError> => explain(spec, await ended, log, logStart);

	try {
		const qmp = await until(
			`the monitor of the machine ${spec.name} answers`,
			async () => {
				if (end !== undefined) {
					throw await explainEnd();
				}

				try {
					return {met: true, value: await connectQmp(path.resolve(cwd, spec.qmpSocket), spec.name)};
				} catch (error) {
					const {code, message} = error as NodeJS.ErrnoException;
					if (code === 'ENOENT' || code === 'ECONNREFUSED') {
						return {met: false, seen: 'its socket is not there yet'};
					}

					// A monitor that is lost while QEMU ends: the end says more.
					await gone(1000, 'ends').catch(() => {});
					throw end === undefined ? new Error(message, {cause: error}) : await explainEnd();
				}
			},
			{deadline, interval: 5, ...(signal && {signal})},
		);
		const identity = await identify(daemon.pid, machineMarker(spec)).catch(async (error: unknown) => {
			// It may have turned itself off already: its end says more.
			await gone(1000, 'ends').catch(() => {});
			throw end === undefined ? error : await explainEnd();
		});
		return {
			name: spec.name,
			pid: daemon.pid,
			identity,
			qmp,
			ended,
			explainEnd,
			async powerOff({grace = 0} = {}) {
				if (grace > 0 && end === undefined) {
					await qmp.execute('system_powerdown').then(async () => gone(grace, 'shuts down')).catch(() => {});
				}

				if (end === undefined) {
					// QEMU may close the monitor before it has answered: the end of the process is what counts.
					await Promise.all([qmp.execute('quit', undefined, {timeout: quitDeadline}).catch(() => {}), gone(quitDeadline, 'quits').catch(() => {})]);
				}

				if (end === undefined) {
					await kill();
				}
			},
			kill,
		};
	} catch (error) {
		await kill();
		throw error;
	}
}

/** What QEMU wrote to its log since it was started: the last lines, without its own name in front. */
async function lastWords(log: string, start: number): Promise<string[]> {
	return (await readEnd(log, lastWordsBytes, start)).split('\n').map((line) => line.replace(/^qemu-system-x86_64: /, '').trimEnd()).filter((line) => line !== '').slice(-15);
}

async function explain(spec: MachineSpecification, end: MachineEnd, log: string, logStart: number): Promise<LabError> {
	const words = await lastWords(log, logStart);
	const port = words.map((line) => /Could not set up host forwarding rule 'tcp:127\.0\.0\.1:(\d+)-/.exec(line)?.[1]).find((found) => found !== undefined);
	if (port !== undefined) {
		return failure.portTaken(Number(port), spec.name, log);
	}

	// A page of a file that its filesystem has no room for: mmap(2).
	const hint = end.signal === 'SIGBUS' ? `Its memory did not fit where it is kept (${path.dirname(spec.memoryFile)}): make room there.` : undefined;
	const outcome = end.signal === null ? `with exit code ${end.code ?? 'unknown'}` : `by ${end.signal}`;
	return failure.machineExited(spec.name, outcome, words, log, hint);
}
