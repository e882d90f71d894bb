/** What is kept of a lab's machines when something failed. */
import {copyFile, mkdir, readdir, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {timeLimit} from '../host/wait.ts';
import type {SshConnection} from '../machine/ssh.ts';
import type {EvidenceDeclaration} from '../spec/overlay.ts';
import {cutPartOf} from './console-limit.ts';
import {consoleLogOf} from './console-tail.ts';
import type {LabRecord, MachineState} from './lab-record.ts';

/** A machine that evidence is collected from. */
export interface Witness {
	readonly name: string;
	readonly evidence: readonly EvidenceDeclaration[];
	/** Opens a connection; without it the machine is not asked, and only its files are kept. */
	readonly connect?: (deadline: number, signal: AbortSignal) => Promise<SshConnection>;
}

/** What is to be collected, and where it goes. */
export interface Collection {
	/** The lab's folder. */
	readonly folder: string;
	/** Where the evidence goes: see `emptyEvidenceFolder`. */
	readonly target: string;
	readonly record: LabRecord;
	readonly machines: readonly Witness[];
	/** Reads what the lab's links carried, as pcapng; without it that is not kept. */
	readonly frames?: ((signal: AbortSignal) => Promise<Buffer>) | undefined;
	/** The factor for deadlines. */
	readonly pace: number;
	readonly signal?: AbortSignal | undefined;
}

/**
 * For a connection to a machine that may be in trouble, for one command, for one machine: milliseconds at KVM speed, and how
 * long it is at most, since somebody waits.
 */
const connectDeadline = {usual: 5000, most: 30_000};
const commandDeadline = {usual: 20_000, most: 60_000};
const machineDeadline = {usual: 45_000, most: 180_000};

function scale({usual, most}: {usual: number; most: number}, pace: number): number {
	return Math.min(most, usual * pace);
}

/** For the frames: these are on this computer, so that it is milliseconds on any machine. */
const framesDeadline = 20_000;

/** Machines that answered once. Those that never did are not asked: their consoles say how far they came. */
const askable: readonly MachineState[] = ['answers', 'ready'];

/** What every machine is asked for, where no overlay does by that name. */
const journal: EvidenceDeclaration = {name: 'journal.txt', command: 'journalctl --boot --no-pager'};

/** Makes a folder for evidence, with nothing in it: what an earlier run left there would be taken for this one's. */
export async function emptyEvidenceFolder(folder: string): Promise<void> {
	await rm(folder, {recursive: true, force: true});
	await mkdir(folder, {recursive: true});
}

/** How many files of evidence a folder has, in whatever depth. */
export async function countEvidence(folder: string): Promise<number> {
	const entries = await readdir(folder, {recursive: true, withFileTypes: true});
	return entries.filter((entry) => entry.isFile()).length;
}

/**
 * Collects the evidence of a lab's machines, all at once: `MACHINE/console.log`, `qemu.log`, `journal.txt` and what overlays
 * declare, and `frames.pcapng`, `events.jsonl` and `lab.json` beside them. What cannot be had says so in its own file; nothing of it throws,
 * since the failure that led here is what counts. No key or password of the lab is in it; the frames have the beginning of what was sent in plain text.
 */
export async function collectEvidence(collection: Collection): Promise<void> {
	const {folder, target, record, machines, pace} = collection;
	await writeFile(path.join(target, 'lab.json'), `${JSON.stringify(record, undefined, '\t')}\n`);
	await Promise.all([
		copy(path.join(folder, 'events.jsonl'), path.join(target, 'events.jsonl')),
		keepFrames(collection),
		...machines.map(async (machine) => {
			const place = path.join(target, machine.name);
			await mkdir(place, {recursive: true});
			await Promise.all([
				copy(path.join(folder, consoleLogOf(machine.name)), path.join(place, 'console.log')),
				copy(cutPartOf(path.join(folder, consoleLogOf(machine.name))), cutPartOf(path.join(place, 'console.log'))),
				copy(path.join(folder, machine.name, 'qemu.log'), path.join(place, 'qemu.log')),
			]);
			const {state, faults = []} = record.machines.find(({name}) => name === machine.name) ?? {state: 'off'};
			if (faults.includes(state)) {
				await writeFile(path.join(place, 'missing.txt'), `The machine could not be asked: it was ${state}, on purpose\n`);
			} else if (state === 'booting') {
				await writeFile(path.join(place, 'missing.txt'), 'The machine was not asked: it has not answered since it was powered on or began anew. Its console says how far it came\n');
			}

			if (!askable.includes(state)) {
				return;
			}

			const time = timeLimit(scale(machineDeadline, pace));
			await ask(machine, place, pace, collection.signal === undefined ? time : AbortSignal.any([time, collection.signal]));
		}),
	]);
}

/** The frames come first: what machines are asked for takes a while, and others overwrite them meanwhile. */
async function keepFrames({target, frames, signal}: Collection): Promise<void> {
	const time = timeLimit(framesDeadline);
	try {
		const capture = await frames?.(signal === undefined ? time : AbortSignal.any([time, signal]));
		if (capture !== undefined) {
			await writeFile(path.join(target, 'frames.pcapng'), capture);
		}
	} catch (error) {
		await writeFile(path.join(target, 'frames-missing.txt'), `could not be had: ${reason(error)}\n`);
	}
}

async function copy(from: string, to: string): Promise<void> {
	await copyFile(from, to).catch(() => {});
}

/** Asks the machine itself. */
async function ask({connect, evidence}: Witness, place: string, pace: number, signal: AbortSignal): Promise<void> {
	if (connect === undefined) {
		return;
	}

	let connection: SshConnection;
	try {
		connection = await connect(scale(connectDeadline, pace), signal);
	} catch (error) {
		await writeFile(path.join(place, 'missing.txt'), `The machine could not be asked: ${reason(error)}\n`);
		return;
	}

	try {
		for (const {name, command} of evidence.some(({name}) => name === journal.name) ? evidence : [journal, ...evidence]) {
			// An overlay's name for it is no way out of the folder.
			const file = path.join(place, path.basename(name));
			try {
				const {stdout, stderr, exitCode} = await connection.exec(command, {timeout: scale(commandDeadline, pace), signal});
				await writeFile(file, `${stdout}${stderr === '' ? '' : `\n${stderr}`}${exitCode === 0 ? '' : `\n(exit code ${exitCode})\n`}`);
			} catch (error) {
				await writeFile(file, `could not be had: ${reason(error)}\n`);
			}
		}
	} finally {
		connection.close();
	}
}

function reason(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}
