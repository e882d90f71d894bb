/** Starting a lab that goes on when we end, watching it, and ending any lab. */
import {stat} from 'node:fs/promises';
import path from 'node:path';
import {type EventSink, noEvents, type TimedEvent} from '../event/event.ts';
import {asLabError, type FailureDescription, type LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {labFolder, packageFolder} from '../host/folder.ts';
import {endProcess, identify, isAlive, type ProcessIdentity} from '../host/process.ts';
import {type ProgramEnd, spawnDetached} from '../host/program.ts';
import {timeLimit, until} from '../host/wait.ts';
import {writeFileWhole} from '../host/whole-file.ts';
import {labKey} from '../plan/plan-key.ts';
import {claimLab} from './claim.ts';
import {tailOf} from './console-tail.ts';
import {countEvidence} from './evidence.ts';
import {askLab, askLabFor} from './lab-client.ts';
import {removeLabFolder} from './lab-folder.ts';
import {type LabRecord, readRecord, writeRecord} from './lab-record.ts';
import type {LabRequest} from './lab-request.ts';
import type {LabAnswer} from './lab-socket.ts';
import {findLab, readLab} from './labs.ts';
import {supervisorLog} from './last-words.ts';
import {clearDeadLabs} from './reaper.ts';
import {requestFile, type SupervisorRequest} from './supervisor-request.ts';

/** Milliseconds until the supervisor's socket is there: the time that a process takes to start on a busy computer. */
const socketDeadline = 60_000;
/** Milliseconds that a lab may take to end: QEMU flushes disks, and the evidence of a failed boot may take some seconds more. */
const endDeadline = 60_000;

/** Milliseconds until a supervisor that broke off has ended, so that its end can be told. */
const lastMoments = 2000;

/** The program of the supervisor, compiled. */
const supervisorProgram = path.join(packageFolder, '.build/lab/runtime/supervisor.js');

/**
 * Starts a lab with a supervisor of its own and returns when it is ready. When it fails or is aborted, nothing of it is left.
 *
 * @throws what `bootLab` throws; `supervisor-lost` when the supervisor ended without a word
 */
export async function startLab(request: LabRequest): Promise<LabRecord> {
	const {name, scenario, plan, made, signal, clock, evidence} = request;
	signal.throwIfAborted();
	const began = Date.now();
	let told = false;
	const events: EventSink = (event) => {
		told ||= event.type === 'evidence';
		request.events(event);
	};

	const {folder, record} = await claimLab({name, scenario, labKey: labKey(plan)});
	let supervisor: ProcessIdentity | undefined;
	try {
		const text: SupervisorRequest = {plan, made: [...made], clock, evidence, starter: record.supervisor};
		await writeFileWhole(path.join(folder, requestFile), JSON.stringify(text), 0o600);
		const log = path.join(folder, supervisorLog);
		const {pid, ended} = await spawnDetached(process.execPath, [supervisorProgram, folder], {cwd: folder, log});
		const lost = async (last: readonly string[] = []): Promise<LabError> => {
			const words = await tailOf(log);
			return failure.supervisorLost(name, await tellEnd(name, ended), words.length === 0 ? last : words);
		};

		supervisor = await identify(pid, folder).catch(async () => {
			throw await lost();
		});
		// From now on it is the supervisor's, which says so itself as soon as it can.
		if ((await readRecord(folder))?.supervisor.pid === record.supervisor.pid) {
			await writeRecord(folder, {...record, supervisor});
		}

		await watchBoot({folder, name, supervisor, lost}, events, signal);
		return await readLab(name);
	} catch (error) {
		if (supervisor === undefined) {
			await removeLabFolder(folder);
		} else {
			await end(folder, supervisor).catch((failed: unknown) => {
				events({type: 'note', level: 'warning', text: `The lab ${name} was not ended as it should have been: ${asLabError(failed).message}`});
			});
		}

		// Whoever interrupts it does not listen to the supervisor any more when that keeps the evidence.
		if (!told && evidence !== undefined && (await stat(evidence).catch(() => undefined) ?? {mtimeMs: 0}).mtimeMs >= began) {
			events({type: 'evidence', scenario: scenario ?? name, path: evidence, files: await countEvidence(evidence)});
		}

		throw signal.aborted ? signal.reason : error;
	}
}

/** How a supervisor ended that should not have. */
async function tellEnd(lab: string, ended: Promise<ProgramEnd>): Promise<string> {
	let end: ProgramEnd | undefined;
	void ended.then((outcome) => {
		end = outcome;
	});
	return until(
		`the supervisor of the lab ${lab} has ended`,
		async () => (end === undefined
			? {met: false, seen: 'it runs'}
			: {met: true, value: end.signal === null ? `its process ended with exit code ${end.code}` : `its process was ended by ${end.signal}`}),
		{deadline: lastMoments, interval: 100},
	).catch(() => 'it ended the connection');
}

/** A supervisor that is to boot a lab. */
interface StartedSupervisor {
	readonly folder: string;
	/** Of the lab. */
	readonly name: string;
	readonly supervisor: ProcessIdentity;
	/** The error for its end. `last` is shown where its log is gone. */
	lost(last?: readonly string[]): Promise<LabError>;
}

/** Passes events on until the lab is ready. Throws its failure, or says that the supervisor was lost. */
async function watchBoot({folder, name, supervisor, lost}: StartedSupervisor, events: EventSink, signal: AbortSignal): Promise<void> {
	let outcome: TimedEvent | undefined;
	let last: string[] = [];
	const enough = new AbortController();
	const joint = AbortSignal.any([signal, enough.signal]);
	const take = (answer: LabAnswer): void => {
		if (answer.answer !== 'event' || outcome !== undefined) {
			return;
		}

		const {event} = answer;
		events(event);
		if (event.type === 'lab' && (event.reason === 'ready' || event.reason === 'failed')) {
			outcome = event;
			enough.abort();
		}
	};

	const end = await until<LabError | undefined>(
		`the supervisor of the lab ${name} answers`,
		async () => {
			try {
				await askLab(folder, {request: 'events'}, take, joint);
			} catch (error) {
				if (outcome !== undefined) {
					return {met: true, value: undefined};
				}

				signal.throwIfAborted();
				last = await tailOf(path.join(folder, supervisorLog)).then((lines) => (lines.length === 0 ? last : lines));
				if (!(await isAlive(supervisor))) {
					// Not thrown: the wait would take it for one more observation, and go on.
					return {met: true, value: await lost(last)};
				}

				return {met: false, seen: error instanceof Error ? error.message : String(error)};
			}

			return {met: true, value: undefined};
		},
		{deadline: socketDeadline, interval: 200, signal},
	);
	if (outcome === undefined) {
		throw end ?? await lost(last);
	}

	if (outcome.type === 'lab' && outcome.reason === 'failed') {
		throw failure.told(outcome.error);
	}
}

/**
 * Has a lab kept under a name by its owner, and returns when it is; the lab goes on.
 *
 * @returns bytes that it takes on the disk
 * @throws `no-such-lab`, what `keepLab` throws, `supervisor-lost`
 */
export async function freezeRunningLab(lab: string, name: string, signal?: AbortSignal): Promise<number> {
	await readLab(lab);
	return (await askLabFor(lab, {request: 'freeze', name}, 'frozen', signal)).bytes;
}

/**
 * Ends a lab, whoever owns it, and returns when nothing of it is left. One that does not live is no failure.
 *
 * @returns whether there was one
 * @throws what the lab's owner failed with while it ended the lab; all else was ended nevertheless
 */
export async function endLab(name: string, options: {signal?: AbortSignal | undefined; events?: EventSink} = {}): Promise<boolean> {
	const record = await findLab(name);
	if (record === undefined) {
		return (await clearDeadLabs()).includes(name);
	}

	await end(labFolder(name), record.supervisor, options);
	return true;
}

/** Asks the lab's owner to end it; ends the owner where it does not; clears what is left. */
async function end(folder: string, owner: ProcessIdentity, options: {signal?: AbortSignal | undefined; events?: EventSink} = {}): Promise<void> {
	const {signal, events = noEvents} = options;
	let told: FailureDescription | undefined;
	let answered = true;
	try {
		const late = timeLimit(endDeadline);
		await askLab(folder, {request: 'down'}, (answer) => {
			told = answer.answer === 'error' ? answer.error : told;
		}, signal === undefined ? late : AbortSignal.any([signal, late]));
	} catch {
		// Nobody answers, or not in time: then the owner has to go.
		signal?.throwIfAborted();
		answered = false;
	}

	try {
		if (!answered) {
			await endProcess(owner, {grace: 10_000});
		}

		await until(
			`nothing is left of the lab ${path.basename(folder)}`,
			async () => {
				const current = await readRecord(folder);
				const there = current === undefined ? await exists(folder) : current.supervisor.pid === owner.pid && current.supervisor.startTime === owner.startTime;
				return there ? {met: false, seen: `its folder is there, its owner is process ${owner.pid}`} : {met: true, value: undefined};
			},
			{deadline: answered ? 10_000 : 0, interval: 100, signal, events},
		);
	} catch {
		signal?.throwIfAborted();
		await endProcess(owner, {grace: 10_000});
	}

	await clearDeadLabs();
	// A supervisor has nothing to do without its lab; who ran a scenario in it has a report to write.
	if (owner.marker === folder) {
		await endProcess(owner, {grace: 5000});
	}

	if (told !== undefined) {
		throw failure.told(told);
	}
}

async function exists(folder: string): Promise<boolean> {
	return stat(folder).then(() => true, () => false);
}
