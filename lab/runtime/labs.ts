/** The labs that live on this computer, as other processes than their owners see them. */
import {readdir, readFile} from 'node:fs/promises';
import path from 'node:path';
import {type LinkReport, showReport} from '../fabric/link.ts';
import {failure} from '../host/failure.ts';
import {folders, labFolder} from '../host/folder.ts';
import {isAlive} from '../host/process.ts';
import type {SshConnection} from '../machine/ssh.ts';
import {type LabRecord, type LabState, type MachineRecord, type MachineState, readRecordOf} from './lab-record.ts';

export type {ForwardRecord, LabRecord, LabState, MachineRecord, MachineState} from './lab-record.ts';

/** What `vmlab status LAB -o json` prints. */
export interface LabStatus {
	readonly name: string;
	readonly scenario: string | null;
	readonly state: LabState;
	readonly supervisor: {readonly pid: number};
	readonly machines: ReadonlyArray<{
		readonly name: string;
		readonly role: string;
		readonly pid: number | null;
		readonly state: MachineState;
		/** What is wrong with it on purpose. */
		readonly faults: readonly string[];
		/** On the networks of the lab. */
		readonly addresses: readonly string[];
		readonly ssh: {readonly host: string; readonly port: number; readonly user: string};
	}>;
	readonly forwards: ReadonlyArray<{readonly name: string; readonly machine: string; readonly port: number; readonly hostPort: number}>;
	/** None of a lab that does not answer: one that is still being started, or whose owner is stopped. */
	readonly links: ReadonlyArray<{
		readonly name: string;
		/** What is wrong with it on purpose. */
		readonly faults: readonly string[];
	}>;
}

/** The folder that the labs' folders are in. */
export function labsFolder(): string {
	return path.join(folders().state, 'labs');
}

/** Names of the folders of labs, those of dead ones too. */
export async function labFolderNames(): Promise<string[]> {
	try {
		const entries = await readdir(labsFolder(), {withFileTypes: true});
		// What begins with a dot is a folder that comes into being, or goes.
		return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map(({name}) => name).sort();
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
			return [];
		}

		throw error;
	}
}

/** The lab of that name, where its owner lives; else undefined. Throws `usage` for a name that no lab can have. */
export async function findLab(name: string): Promise<LabRecord | undefined> {
	const record = await readRecordOf(name);
	return record !== undefined && (await isAlive(record.supervisor)) ? record : undefined;
}

/** All labs whose owner lives, by name. */
export async function listLabs(): Promise<LabRecord[]> {
	const found = await Promise.all((await labFolderNames()).map(async (name) => findLab(name).catch(() => undefined)));
	return found.filter((record) => record !== undefined);
}

/** The lab of that name. Throws `no-such-lab` when none lives. */
export async function readLab(name: string): Promise<LabRecord> {
	const record = await findLab(name);
	if (record === undefined) {
		throw failure.noSuchLab(name, (await listLabs()).map((lab) => lab.name));
	}

	return record;
}

/** The part of a record that is told to the outside, with its links. */
export function statusOf(record: LabRecord, links: readonly LinkReport[] = []): LabStatus {
	return {
		name: record.name,
		scenario: record.scenario ?? null,
		state: record.state,
		supervisor: {pid: record.supervisor.pid},
		machines: record.machines.map(({name, role, pid, state, faults = [], addresses = [], ssh: {host, port, user}}) => ({name, role, pid, state, faults, addresses, ssh: {host, port, user}})),
		forwards: record.forwards.map(({name, machine, port, hostPort}) => ({name, machine, port, hostPort})),
		links: links.map((report) => ({name: report.link, faults: showReport(report)})),
	};
}

/** A machine of a lab. Throws `unknown-machine`, which lists those that there are. */
export function machineOf(lab: LabRecord, name: string): MachineRecord {
	const machine = lab.machines.find((candidate) => candidate.name === name);
	if (machine === undefined) {
		throw failure.unknownName('machine', name, lab.machines.map((candidate) => candidate.name));
	}

	return machine;
}

/** Milliseconds, at KVM speed, that a machine which runs may take to answer a new connection. */
const answerDeadline = 10_000;

/**
 * An ssh connection to a machine of a lab that lives, with the lab's own key.
 *
 * @param options.deadline milliseconds; default 10 s at the lab's speed
 * @throws `unknown-machine`, `machine-stands-still`, `host-key-mismatch`, `ssh-refused`, `wait-expired`
 */
export async function connectMachine(lab: LabRecord, name: string, options: {deadline?: number; signal?: AbortSignal | undefined} = {}): Promise<SshConnection> {
	const machine = machineOf(lab, name);
	if (machine.state === 'paused' || (machine.state === 'off' && machine.faults !== undefined)) {
		throw failure.machineStandsStill(name, machine.state);
	}

	// ssh2 takes a while to load, and listing labs needs none of it.
	const {connectSsh} = await import('../machine/ssh.ts');
	return connectSsh({
		port: machine.ssh.port,
		hostKey: machine.ssh.hostKey,
		privateKey: await readFile(path.join(labFolder(lab.name), 'ssh-key'), 'utf8'),
		machine: name,
		user: machine.ssh.user,
		deadline: options.deadline ?? answerDeadline * Math.max(1, lab.speed),
		signal: options.signal,
	});
}
