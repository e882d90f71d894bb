/**
 * What a frozen lab is on the disk. A folder with `frozen.json`, the lab's secrets, and for each machine its memory (sparse), the state of
 * its devices, its disk on top of the blank one, and the initramfs that it boots from when it is rebooted.
 */
import {cp, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import type {NetworkState} from '../fabric/fabric.ts';
import {digestFile} from '../host/digest.ts';
import {failure} from '../host/failure.ts';
import type {Plan} from '../plan/plan.ts';
import type {ReadyLabInputs} from '../plan/ready-lab.ts';
import {loginKeyFile, secretsFolder} from './secrets.ts';

/** What is written down of a frozen lab. */
export interface FrozenLab {
	readonly format: 1;
	/** What it depends on. */
	readonly inputs: ReadyLabInputs;
	readonly plan: Plan;
	/** Milliseconds since 1970, by the guests' clock: what time forks go on from. */
	readonly frozenAt: number;
	readonly machines: readonly string[];
	/** Machine -> hex sha256 of its devices' state: QEMU takes almost any, and goes on with what it makes of it. */
	readonly states: Readonly<Record<string, string>>;
	/** The fabric, with what was on its way. */
	readonly networks: readonly NetworkState[];
}

/** The record's file in the folder of a frozen lab. */
const recordFile = 'frozen.json';

/** The files of a frozen machine. */
export interface FrozenMachine {
	readonly memory: string;
	readonly state: string;
	readonly disk: string;
	readonly initramfs: string;
	/** What its console had said until then. */
	readonly console: string;
}

/** Where the files of a machine are in the folder of a frozen lab. */
export function frozenMachine(folder: string, machine: string): FrozenMachine {
	const own = path.join(folder, machine);
	return {memory: path.join(own, 'memory'), state: path.join(own, 'state'), disk: path.join(own, 'disk.qcow2'), initramfs: path.join(own, 'initramfs'), console: path.join(own, 'console.log')};
}

/** The files of a frozen lab that a QEMU before 8.2 opens for writing, relative to it. */
export function memoryFiles(plan: Plan): string[] {
	return plan.machines.map(({name}) => frozenMachine('', name).memory);
}

async function digestStates(folder: string, machines: readonly string[]): Promise<Record<string, string>> {
	return Object.fromEntries(await Promise.all(machines.map(async (machine) => [machine, await digestFile(frozenMachine(folder, machine).state)] as const)));
}

/** Writes the record when all else is there, and takes the lab's secrets along. */
export async function writeFrozenLab(target: string, lab: Omit<FrozenLab, 'states'>, labFolder: string): Promise<void> {
	await copySecrets(labFolder, target);
	const whole: FrozenLab = {...lab, states: await digestStates(target, lab.machines)};
	await writeFile(path.join(target, recordFile), `${JSON.stringify(whole, undefined, '\t')}\n`, {mode: 0o600, flag: 'wx'});
}

/** The record of a frozen lab. Throws `frozen-lab-broken` when it cannot be read. */
export async function readFrozenLab(folder: string): Promise<FrozenLab> {
	const file = path.join(folder, recordFile);
	try {
		const lab = JSON.parse(await readFile(file, 'utf8')) as Partial<FrozenLab>;
		if (lab.format !== 1) {
			throw new Error(`it has the format ${String(lab.format)}`);
		}

		return lab as FrozenLab;
	} catch (error) {
		throw failure.frozenLabBroken(folder, `${recordFile}: ${error instanceof Error ? error.message : String(error)}`, error);
	}
}

/**
 * Checks what QEMU would take in any state, and what is quickly read: the states of its devices. The store has looked at all files' inodes, sizes and times before.
 *
 * @throws `frozen-lab-broken`
 */
export async function checkStates(folder: string, {machines, states}: FrozenLab): Promise<void> {
	const now = await digestStates(folder, machines).catch((error: Error) => {
		throw failure.frozenLabBroken(folder, error.message, error);
	});
	const altered = machines.find((machine) => now[machine] !== states[machine]);
	if (altered !== undefined) {
		throw failure.frozenLabBroken(folder, `the state of the devices of ${altered} was altered`);
	}
}

/** Copies the secrets of a lab into another folder: whoever has a fork must be able to log in, and its host keys are the same. */
export async function copySecrets(from: string, to: string): Promise<void> {
	for (const name of [secretsFolder, loginKeyFile, `${loginKeyFile}.pub`]) {
		await cp(path.join(from, name), path.join(to, name), {recursive: true, errorOnExist: true, force: false});
	}
}
