/** What a lab writes down about itself, in `lab.json` of its folder, for other processes of the same user. */
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import {digestOf} from '../host/digest.ts';
import {asLabError, type FailureDescription} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {labFolder} from '../host/folder.ts';
import type {ProcessIdentity} from '../host/process.ts';
import {writeFileWhole} from '../host/whole-file.ts';

/** How far a lab is. */
export type LabState = 'starting' | 'booting' | 'ready' | 'failed' | 'stopping';

/** How far a machine is: without power, started, answering over ssh, ready; standing still on purpose; ended. */
export type MachineState = 'off' | 'booting' | 'answers' | 'ready' | 'paused' | 'ended';

/** A machine of a lab that lives. */
export interface MachineRecord {
	readonly name: string;
	readonly role: string;
	readonly state: MachineState;
	/** What is wrong with it on purpose, in words. */
	readonly faults?: readonly string[];
	/** Of QEMU; null where it does not run. */
	readonly pid: number | null;
	/** On the networks of the lab, as ip(8) prints them, without prefix lengths. */
	readonly addresses?: readonly string[];
	/** QEMU's, for those who clear up after a dead lab. */
	readonly process?: ProcessIdentity;
	/** `hostKey` is the public line that the machine must prove to have. */
	readonly ssh: {readonly host: string; readonly port: number; readonly user: string; readonly hostKey: string};
}

/** A port of 127.0.0.1 that leads to a machine's. */
export interface ForwardRecord {
	readonly name: string;
	readonly machine: string;
	/** On the machine. */
	readonly port: number;
	readonly hostPort: number;
}

/** A lab that lives, as its owner wrote it down. Has no secrets. */
export interface LabRecord {
	/** Of this form; another vmlab may have another. */
	readonly format: 1;
	readonly name: string;
	/** Absent where the lab is not a scenario's. */
	readonly scenario?: string;
	/** The stage that it makes, where it is there for that alone: no command takes it for somebody's lab unless it is named. */
	readonly makes?: string;
	readonly state: LabState;
	/** The process that owns the lab: when it is dead, so is the lab. */
	readonly supervisor: ProcessIdentity;
	/** See `labKey`. */
	readonly labKey: string;
	/** Milliseconds since 1970. */
	readonly startedAt: number;
	/** How many times slower than under KVM things are expected to be; 0 while unknown. */
	readonly speed: number;
	readonly machines: readonly MachineRecord[];
	readonly forwards: readonly ForwardRecord[];
	/** Stage name -> its folder in the store, as long as the lab lives. */
	readonly stages: Readonly<Record<string, string>>;
	/** Where the machines' memory is, where it is not in the lab's folder. */
	readonly memoryFolder?: string;
	/** Why it failed. */
	readonly error?: FailureDescription;
}

/** What a state may become. */
const transitions: Readonly<Record<LabState, readonly LabState[]>> = {
	starting: ['booting', 'failed', 'stopping'],
	booting: ['ready', 'failed', 'stopping'],
	ready: ['failed', 'stopping'],
	failed: ['stopping'],
	stopping: [],
};

/** Longer ones would not fit in socket paths and host names. */
const longestName = 30;

/** Refuses a name that no lab may have. Throws `usage`. */
export function checkLabName(name: string): void {
	if (!/^[a-z0-9][a-z0-9-]*$/.test(name) || name.length > longestName) {
		throw failure.usage(`A lab cannot be named \`${name}\``, `Use small letters, digits and dashes, a letter or digit first, at most ${longestName}.`);
	}
}

/**
 * A name for a lab of many: the name that they have in common, and what tells this one from the others. A common name that leaves no
 * room for that is cut, and has a few digits of its digest then, so that two which begin alike stay different.
 *
 * @param suffix at most 20 characters that a lab's name may have
 */
export function fitLabName(common: string, suffix = ''): string {
	if (common.length + suffix.length <= longestName) {
		return `${common}${suffix}`;
	}

	const mark = `-${digestOf(common).slice(0, 4)}`;
	return `${common.slice(0, longestName - mark.length - suffix.length).replace(/-+$/, '')}${mark}${suffix}`;
}

/** The file of a lab's record. */
export function recordFile(folder: string): string {
	return path.join(folder, 'lab.json');
}

/** The record in a lab's folder; undefined where there is none that this vmlab can read. */
export async function readRecord(folder: string): Promise<LabRecord | undefined> {
	try {
		const record = JSON.parse(await readFile(recordFile(folder), 'utf8')) as Partial<LabRecord>;
		return record.format === 1 ? record as LabRecord : undefined;
	} catch (error) {
		if (error instanceof SyntaxError || ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) {
			return undefined;
		}

		throw error;
	}
}

/**
 * Is the lab in the folder one of another vmlab, whose records have another form? Then its owner, as far as that is written down
 * as here: null where it is not. Undefined where the folder has no such record.
 */
export async function readForeignOwner(folder: string): Promise<ProcessIdentity | null | undefined> {
	const text = await readFile(recordFile(folder), 'utf8').catch(() => '');
	let record: unknown;
	try {
		record = JSON.parse(text);
	} catch {
		return undefined;
	}

	if (typeof record !== 'object' || record === null || !('format' in record) || record.format === 1) {
		return undefined;
	}

	const owner = ('supervisor' in record ? record.supervisor : undefined) as Partial<ProcessIdentity> | null | undefined;
	return typeof owner?.pid === 'number' && typeof owner.startTime === 'string' && typeof owner.marker === 'string' ? owner as ProcessIdentity : null;
}

/** Writes a record into a lab's folder. */
export async function writeRecord(folder: string, record: LabRecord): Promise<void> {
	await writeFileWhole(recordFile(folder), `${JSON.stringify(record, undefined, '\t')}\n`, 0o600);
}

/** A new lab's record, before anything of it is there. */
export function newRecord(lab: Pick<LabRecord, 'name' | 'supervisor' | 'labKey'> & {scenario?: string | undefined; makes?: string | undefined}): LabRecord {
	const {name, scenario, makes, supervisor, labKey} = lab;
	return {
		format: 1, name, ...(scenario !== undefined && {scenario}), ...(makes !== undefined && {makes}), state: 'starting', supervisor, labKey,
		startedAt: Date.now(), speed: 0, machines: [], forwards: [], stages: {},
	};
}

/** The record of a lab that this process owns: changed in memory, and written after each change. */
export interface RecordKeeper {
	readonly record: LabRecord;
	/** Changes it and returns when that is written. A state that cannot follow is a bug of ours, and throws. */
	update(change: (record: LabRecord) => Partial<LabRecord>): Promise<void>;
	/** Changes one machine. */
	updateMachine(name: string, change: Partial<MachineRecord>): Promise<void>;
	/** Resolves when all changes are written. */
	settled(): Promise<void>;
}

/** Takes over the record in a lab's folder. */
export function keepRecord(folder: string, initial: LabRecord): RecordKeeper {
	let record = initial;
	let written: Promise<void> = Promise.resolve();
	const keeper: RecordKeeper = {
		get record() {
			return record;
		},
		async update(change) {
			const next = {...record, ...change(record)};
			if (next.state !== record.state && !transitions[record.state].includes(next.state)) {
				throw asLabError(new Error(`a lab that is ${record.state} cannot become ${next.state}`));
			}

			record = next;
			// One after the other, so that the newest is written last; each writes what is newest then.
			written = written.catch(() => {}).then(async () => writeRecord(folder, record));
			return written;
		},
		async updateMachine(name, change) {
			return keeper.update(({machines}) => ({machines: machines.map((machine) => (machine.name === name ? {...machine, ...change} : machine))}));
		},
		settled: async () => written,
	};
	return keeper;
}

/** The record in the folder of the lab of that name. */
export async function readRecordOf(lab: string): Promise<LabRecord | undefined> {
	checkLabName(lab);
	return readRecord(labFolder(lab));
}
