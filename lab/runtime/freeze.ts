/**
 * Freezing a lab: all machines at one moment, with what is on its way between them. How it is done, and why in this order, is in the
 * design, `Freeze and fork`.
 */
import {mkdir} from 'node:fs/promises';
import path from 'node:path';
import type {Fabric, NetworkState} from '../fabric/fabric.ts';
import {run} from '../host/program.ts';
import {saveDeviceState} from '../machine/device-state.ts';
import type {Machine} from '../machine/machine.ts';
import type {SshConnection} from '../machine/ssh.ts';
import type {ReadyLabInputs} from '../plan/ready-lab.ts';
import {frozenMachine, writeFrozenLab} from './frozen-lab.ts';
import {stateSocket} from './power-on.ts';

/** A machine that is to be frozen, and where what it is made of lies. */
export interface FreezableMachine {
	readonly machine: Machine;
	/** Its memory: a file that QEMU shares. */
	readonly memory: string;
	readonly disk: string;
	readonly initramfs: string;
}

/** A lab that is to be frozen. */
export interface FreezableLab {
	readonly folder: string;
	readonly inputs: ReadyLabInputs;
	readonly machines: readonly FreezableMachine[];
	readonly fabric: Fabric;
	readonly signal: AbortSignal;
}

/**
 * What a guest does before it is frozen, so that little is to be kept: writes out its disk, gives up what it only remembers of it, and fills
 * what is free with zeros, which take no room. Some memory is left free, so that nothing in the guest is hurt by it.
 */
const tidyCommand = [
	'sync',
	'echo 3 >/proc/sys/vm/drop_caches',
	'echo 1 >/proc/sys/vm/compact_memory',
	'free=$(awk \'/^MemFree:/ {print int($2 * 0.92) - 16384}\' /proc/meminfo)',
	'[ "$free" -gt 0 ] || exit 0',
	'mkdir -p /run/vmlab-zeros && mount -t tmpfs -o size=100% zeros /run/vmlab-zeros',
	'head -c "${free}K" /dev/zero >/run/vmlab-zeros/zeros || true',
	'umount /run/vmlab-zeros && rmdir /run/vmlab-zeros',
].join('; ');

/** Milliseconds at KVM speed that a guest may take for that. */
const tidyDeadline = 30_000;

/** Makes a guest ready to be frozen. A guest that cannot is frozen as it is: it is only bigger then. */
export async function tidyGuest(connection: SshConnection, pace: number, signal: AbortSignal): Promise<void> {
	await connection.exec(tidyCommand, {timeout: tidyDeadline * pace, signal}).catch(() => {
		signal.throwIfAborted();
	});
}

/** What stopped machines and a held fabric were at one moment. */
export interface Standstill {
	readonly networks: NetworkState[];
	/** Milliseconds since 1970. */
	readonly at: number;
}

/**
 * Stops all machines of a lab and saves the state of their devices into the folder. The machines stand still afterwards, their disks are
 * written out, and their memory does not change any more.
 *
 * @throws `machine-broke`, `monitor-lost`, `fabric-failed`, the system's error when a file cannot be written
 */
export async function bringToStandstill(lab: FreezableLab, target: string): Promise<Standstill> {
	const {folder, machines, fabric, signal} = lab;
	await Promise.all(machines.map(async ({machine}) => mkdir(path.join(target, machine.name), {mode: 0o700})));
	// What the fabric gave to the machines before is read by them while they answer.
	await fabric.hold();
	await Promise.all(machines.map(async ({machine}) => machine.qmp.execute('query-status')));
	const at = Date.now();
	await Promise.all(machines.map(async ({machine}) => machine.qmp.execute('stop')));
	const networks = await fabric.state();
	await Promise.all(machines.map(async ({machine}) => saveDeviceState(machine, {
		cwd: folder, socket: stateSocket(machine.name), file: frozenMachine(target, machine.name).state, signal,
	})));
	return {networks, at};
}

/**
 * Copies what stands still into the folder, where it is a frozen lab then. QEMU must have let go of the disks.
 *
 * @throws `program-failed`, `disk-full`
 */
export async function keepFrozen(lab: FreezableLab, standstill: Standstill, target: string): Promise<void> {
	const {folder, inputs, machines, signal} = lab;
	for (const {machine, memory, disk, initramfs} of machines) {
		const files = frozenMachine(target, machine.name);
		// Zeros become holes.
		await run('cp', ['--sparse=always', memory, files.memory], {signal});
		await run('cp', ['--sparse=always', '--reflink=auto', disk, files.disk], {signal});
		await run('cp', ['--reflink=auto', initramfs, files.initramfs], {signal});
	}

	await writeFrozenLab(target, {format: 1, inputs, frozenAt: standstill.at, machines: machines.map(({machine}) => machine.name), networks: standstill.networks}, folder);
}
