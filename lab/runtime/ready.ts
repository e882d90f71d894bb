/** Waiting for machines: that they answer over ssh, and that each is ready as its overlays say. */
import path from 'node:path';
import {LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {until} from '../host/wait.ts';
import {quoteWord} from '../machine/quoting.ts';
import type {ConnectOptions, SshConnection} from '../machine/ssh.ts';
import type {PlannedMachine} from '../plan/plan.ts';
import type {ReadyCondition} from '../spec/overlay.ts';
import {milliseconds} from '../spec/units.ts';
import {consoleLogOf, findCrash, tailOf} from './console-tail.ts';
import {unitFile} from './seed.ts';
import {awaitFirstProcess, restartWhenStill, type StartingMachine} from './boot-hang.ts';

/** What the waits need to know of a machine that runs. Its signal aborts with the machine's end as a LabError, or with an interruption. */
export interface AwaitedMachine extends Pick<StartingMachine, 'name' | 'folder' | 'pace' | 'events' | 'signal'> {
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
export async function awaitAnswer(machine: AwaitedMachine & StartingMachine): Promise<SshConnection> {
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
	const unanswered = AbortSignal.any([joint, answered.signal]);
	const starting = awaitFirstProcess({...machine, signal: unanswered});
	const moving = restartWhenStill({...machine, signal: unanswered});
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
		await Promise.all([watching, starting, moving]);
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

/** Before the names of failed units, in the output of a look that did not find its condition met. */
const failedMark = 'vmlab: failed units:';

/** A condition's command, whose output ends with the units that failed where the condition does not hold. So to ask for them takes no command of its own. */
function lookCommand(condition: ReadyCondition): string {
	return `(\n${conditionCommand(condition)}\n) || { code=$?; printf '\\n%s ' '${failedMark}'; systemctl list-units --state=failed --plain --no-legend --no-pager --full | cut -d ' ' -f 1 | tr '\\n' ' '; exit $code; }`;
}

/** What a look that did not find the condition met saw: the end of the command's output, and all units that are in the state failed. */
function observation(result: {stdout: string; stderr: string; exitCode: number}): {seen: string; failed: readonly string[]} {
	const [stdout = '', failed = ''] = result.stdout.split(failedMark);
	const lines = `${stdout}\n${result.stderr}`.split('\n').map((line) => line.trim()).filter((line) => line !== '');
	return {
		seen: lines.length === 0 ? `exit code ${result.exitCode}` : lines.slice(-3).join(' | ').slice(-400),
		failed: failed.split(/\s+/).filter((unit) => unit !== ''),
	};
}

/** Where systemd looks for units that overlays, their files and generators bring (systemd.unit(5)). */
const unitFolders = ['/etc/systemd/system', '/run/systemd/system', '/run/systemd/generator', '/run/systemd/generator.late', '/usr/local/lib/systemd/system', '/usr/lib/systemd/system'];

/** Before the name of a unit that is enabled and not there, on a line of a look's output. systemd says nothing of such a unit. */
const missingMark = 'vmlab: no such unit: ';

/** The shell command that prints a line for each unit of which there is no file. It starts no process: a machine that boots has enough to do. */
function missingUnitsCommand(units: readonly string[]): string {
	return units.map((unit) => {
		const tests = unitFolders.flatMap((folder) => [...new Set([unitFile(unit), unit])].map((file) => `[ -e ${quoteWord(`${folder}/${file}`)} ]`));
		return `${tests.join(' || ')} || echo ${quoteWord(`${missingMark}${unit}`)}`;
	}).join('\n');
}

/** The end of a unit's journal; none where it cannot be had. */
async function journalOf(unit: string, connection: SshConnection, options: {timeout: number; signal: AbortSignal}): Promise<string[]> {
	const {stdout} = await connection.exec(`journalctl --boot --unit ${quoteWord(unit)} --lines 10 --output cat --no-pager`, options).catch(() => ({stdout: ''}));
	return stdout.split('\n').map((line) => line.trim()).filter((line) => line !== '' && line !== '-- No entries --');
}

/**
 * Waits until all conditions of a machine hold, one after the other. A connection that is lost meanwhile is opened anew: a
 * machine may set its network up again. The connection is closed in the end.
 *
 * A unit that an overlay enables or that a condition is about, and that two looks in a row find in the state `failed`, ends the wait: systemd does
 * not start it again (one that it does is `activating (auto-restart)`, systemd.service(5)).
 *
 * @param planned `units` of its overlays, and `ready`: the conditions
 * @throws `machine-not-ready`, `unit-failed`, `unit-missing` for one that an overlay enables and that the machine does not have, and what the signal was aborted with
 */
export async function awaitReady(machine: AwaitedMachine, {ready, units}: Pick<PlannedMachine, 'ready' | 'units'>, first: SshConnection): Promise<void> {
	const {name, folder, pace, events, signal} = machine;
	const needed = new Set([...units, ...ready.flatMap(({unit}) => unit ?? [])]);
	let connection: SshConnection | undefined = first;
	/** Is it known that all units that overlays enable are there? */
	let areThere = units.length === 0;
	try {
		for (const condition of ready) {
			const deadline = milliseconds(condition.deadline) * pace;
			const command = lookCommand(condition);
			let before: readonly string[] = [];
			try {
				await until(
					`${name}: ${condition.sentence}`,
					async () => {
						try {
							connection ??= await machine.connect({deadline: lookDeadline * pace, signal});
							const result = await connection.exec(areThere ? command : `${missingUnitsCommand(units)}\n${command}`, {timeout: lookDeadline * pace, signal});
							const missing = result.stdout.split('\n').find((line) => line.startsWith(missingMark));
							if (missing !== undefined && !areThere) {
								throw failure.unitMissing(name, missing.slice(missingMark.length));
							}

							areThere = true;
							if (result.exitCode === 0) {
								return {met: true, value: undefined};
							}

							const {seen, failed} = observation(result);
							const unit = failed.find((each) => needed.has(each) && before.includes(each));
							if (unit !== undefined) {
								throw failure.unitFailed(name, unit, condition.sentence, await journalOf(unit, connection, {timeout: lookDeadline * pace, signal}));
							}

							before = failed;
							return {met: false, seen};
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
