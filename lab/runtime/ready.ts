/** Waiting for machines: that they answer over ssh, and that each is ready as its overlays say. */
import path from 'node:path';
import {LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {until} from '../host/wait.ts';
import type {ConnectOptions, SshConnection} from '../machine/ssh.ts';
import type {ReadyCondition} from '../spec/overlay.ts';
import {milliseconds} from '../spec/units.ts';
import {consoleLogOf, findCrash, tailOf} from './console-tail.ts';
import {awaitFirstProcess, type StartingMachine} from './first-process.ts';

/** What the waits need to know of a machine that runs. Its signal aborts with the machine's end as a LabError, or with an interruption. */
export interface AwaitedMachine extends StartingMachine {
	/** Opens a connection. */
	connect(options: Pick<ConnectOptions, 'deadline' | 'signal'>): Promise<SshConnection>;
}

/** From power-on to an answer over ssh at KVM speed, in milliseconds: some six times what it takes. */
const answerDeadline = 30_000;
/** After this part of it a machine that is silent is told: few take as long. */
const patience = 0.25;
/** One look at a condition at KVM speed, in milliseconds: a command that hangs longer is ended and tried again. */
const lookDeadline = 20_000;

/** The last observation of a wait that expired. */
function lastSeen(error: LabError): string {
	return error.details[0]?.replace(/^last seen: /, '') ?? 'nothing';
}

function isExpired(error: unknown): error is LabError {
	return error instanceof LabError && error.code === 'wait-expired';
}

/**
 * Waits until a machine that was just started answers over ssh.
 *
 * @throws `machine-silent`, `machine-crashed` as soon as its console says so, and what the signal was aborted with
 */
export async function awaitAnswer(machine: AwaitedMachine): Promise<SshConnection> {
	const {name, folder, signal} = machine;
	const log = path.join(folder, consoleLogOf(name));
	const deadline = answerDeadline * machine.pace;
	const start = performance.now();
	const crashed = new AbortController();
	const answered = new AbortController();
	const watching = until(
		`the console of ${name} tells of a crash`,
		async () => {
			// A kernel that gave up may start again at once, and write much since.
			const crash = findCrash(await tailOf(log, 500, machine.consoleFrom));
			return crash === undefined ? {met: false, seen: 'nothing of the kind'} : {met: true, value: failure.machineCrashed(name, crash, await tailOf(log), log)};
		},
		{deadline, signal: AbortSignal.any([signal, answered.signal])},
	).then((error) => {
		crashed.abort(error);
	}, () => {});
	const joint = AbortSignal.any([signal, crashed.signal]);
	const alarm = setTimeout(() => {
		const seconds = (time: number): string => `${Math.round(time / 1000)} s`;
		machine.events({
			type: 'note', level: 'warning',
			text: `${name} has not answered for ${seconds(deadline * patience)}, and is waited for until ${seconds(deadline)}. Its console is in ${log}`,
		});
	}, deadline * patience);
	const starting = awaitFirstProcess({...machine, signal: AbortSignal.any([joint, answered.signal])});
	try {
		return await until(
			`${name} answers over ssh`,
			async () => {
				try {
					return {met: true, value: await machine.connect({deadline: deadline - (performance.now() - start), signal: joint})};
				} catch (error) {
					if (isExpired(error)) {
						return {met: false, seen: lastSeen(error)};
					}

					throw error;
				}
			},
			// Untold: that the machine answers is an event of its own.
			{deadline, signal: joint},
		);
	} catch (error) {
		if (joint.aborted) {
			throw joint.reason;
		}

		throw isExpired(error) ? failure.machineSilent(name, deadline / 1000, lastSeen(error), await tailOf(log), log) : error;
	} finally {
		clearTimeout(alarm);
		answered.abort();
		await Promise.all([watching, starting]);
	}
}

/** The shell command that a condition comes to. It exits with 0 when the condition holds; else its output says what it saw. */
export function conditionCommand(condition: ReadyCondition): string {
	const {unit, port, command} = condition;
	if (unit !== undefined) {
		return `systemctl is-active --quiet '${unit}' || { systemctl show -p ActiveState -p SubState -p Result '${unit}' | tr '\\n' ' '; journalctl -u '${unit}' -n 2 -o cat --no-pager; exit 1; }`;
	}

	if (port !== undefined) {
		// Who listens on any address accepts: a server may have good reason not to be at 127.0.0.1.
		return `ss -Hltn 'sport = :${port}' | grep -q . || { echo 'nothing listens on port ${port}'; exit 1; }`;
	}

	return command ?? 'true';
}

/** What a look that did not find the condition met saw: the end of the command's output. */
function observation(result: {stdout: string; stderr: string; exitCode: number}): string {
	const lines = `${result.stdout}\n${result.stderr}`.split('\n').map((line) => line.trim()).filter((line) => line !== '');
	return lines.length === 0 ? `exit code ${result.exitCode}` : lines.slice(-3).join(' | ').slice(-400);
}

/**
 * Waits until all conditions of a machine hold, one after the other. A connection that is lost meanwhile is opened anew: a
 * machine may set its network up again. The connection is closed in the end.
 *
 * @throws `machine-not-ready`, and what the signal was aborted with
 */
export async function awaitReady(machine: AwaitedMachine, conditions: readonly ReadyCondition[], first: SshConnection): Promise<void> {
	const {name, folder, pace, events, signal} = machine;
	let connection: SshConnection | undefined = first;
	try {
		for (const condition of conditions) {
			const deadline = milliseconds(condition.deadline) * pace;
			const command = conditionCommand(condition);
			try {
				await until(
					`${name}: ${condition.sentence}`,
					async () => {
						try {
							connection ??= await machine.connect({deadline: lookDeadline * pace, signal});
							const result = await connection.exec(command, {timeout: lookDeadline * pace, signal});
							return result.exitCode === 0 ? {met: true, value: undefined} : {met: false, seen: observation(result)};
						} catch (error) {
							signal.throwIfAborted();
							if (error instanceof LabError && error.code === 'ssh-lost') {
								connection?.close();
								connection = undefined;
								return {met: false, seen: error.message};
							}

							throw error;
						}
					},
					{deadline, events, signal},
				);
			} catch (error) {
				signal.throwIfAborted();
				if (!isExpired(error)) {
					throw error;
				}

				const log = path.join(folder, consoleLogOf(name));
				throw failure.machineNotReady(name, condition.sentence, deadline / 1000, lastSeen(error), await tailOf(log, 10), log);
			}
		}
	} finally {
		connection?.close();
	}
}
