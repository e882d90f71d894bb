/**
 * Freezing a lab: all machines at one moment, with what is on its way between them. How it is done, and why in this order, is in the
 * design, `Freeze and fork`.
 */
import {chmod, mkdir, rm} from 'node:fs/promises';
import path from 'node:path';
import type {Fabric, NetworkState} from '../fabric/fabric.ts';
import {availableMemory} from '../host/doctor/resources.ts';
import {run} from '../host/program.ts';
import {saveDeviceState, saveForkState} from '../machine/device-state.ts';
import type {Machine} from '../machine/machine.ts';
import {makeRoom, putPages, type Room, type TakenPages, takeOwnPages} from '../machine/private-memory.ts';
import type {SshConnection} from '../machine/ssh.ts';
import type {Plan} from '../plan/plan.ts';
import type {ReadyLabInputs} from '../plan/ready-lab.ts';
import {frozenMachine, writeFrozenLab} from './frozen-lab.ts';
import {stateSocket} from './power-on.ts';
import {allOf} from './together.ts';

/** A machine that is to be frozen, and where what it is made of lies. */
export interface FreezableMachine {
	readonly machine: Machine;
	/** The file of its memory. */
	readonly memory: string;
	/**
	 * Of a fork: the state of the devices that it was started from. The file of its memory is a frozen machine's then, and what the machine wrote since is
	 * QEMU's own.
	 */
	readonly origin?: string | undefined;
	readonly disk: string;
	/** The empty disk that all of its is on top of. */
	readonly blankDisk: string;
	readonly initramfs: string;
	/** What its console has said. */
	readonly consoleLog: string;
}

/** A lab that is to be frozen. */
export interface FreezableLab {
	readonly folder: string;
	readonly plan: Plan;
	readonly inputs: ReadyLabInputs;
	readonly machines: readonly FreezableMachine[];
	readonly fabric: Fabric;
	/** Milliseconds by which its clock is ahead of this computer's: a fork's goes on from when its origin was frozen, or from where `--clock` put it. */
	readonly clockAhead: number;
	readonly signal: AbortSignal;
}

/** What a guest does before it is frozen, so that little is to be kept: writes out its disk, and gives up what it only remembers of it. */
const dropCommands = ['sync', 'echo 3 >/proc/sys/vm/drop_caches'];
/**
 * Of a guest that was booted all memory is kept, so it fills what is free with zeros too, which take no room. Some is left free, so that nothing in the guest
 * is hurt by it. Of a fork only what it wrote is kept beside what it was forked from, whose free memory was filled before: to fill it again would
 * make of all of it the fork's own.
 */
const fillCommands = [
	'echo 1 >/proc/sys/vm/compact_memory',
	'free=$(awk \'/^MemFree:/ {print int($2 * 0.92) - 16384}\' /proc/meminfo)',
	'[ "$free" -gt 0 ] || exit 0',
	'mkdir -p /run/vmlab-zeros && mount -t tmpfs -o size=100% zeros /run/vmlab-zeros',
	'head -c "${free}K" /dev/zero >/run/vmlab-zeros/zeros || true',
	'umount /run/vmlab-zeros && rmdir /run/vmlab-zeros',
];

/** Milliseconds at KVM speed that a guest may take for that. */
const tidyDeadline = 30_000;
/** The part of the memory that is available, which what machines wrote is kept in until they go on. */
const shareOfMemory = 0.5;

/** Makes a guest ready to be frozen. A guest that cannot is frozen as it is: it is only bigger then. */
export async function tidyGuest(connection: SshConnection, {isFork, pace, signal}: {isFork: boolean; pace: number; signal: AbortSignal}): Promise<void> {
	await connection.exec([...dropCommands, ...(isFork ? [] : fillCommands)].join('; '), {timeout: tidyDeadline * pace, signal}).catch(() => {
		signal.throwIfAborted();
	});
}

/** What stopped machines and a held fabric were at one moment. */
interface Standstill {
	readonly networks: NetworkState[];
	/** Milliseconds since 1970, by the guests' clock. */
	readonly at: number;
}

/** Stops all machines, and saves the state of their devices. Their disks are written out afterwards, and their memory does not change. */
async function bringToStandstill({folder, machines, fabric, clockAhead, signal}: FreezableLab, target: string): Promise<Standstill> {
	// What the fabric gave to the machines before is read by them while they answer.
	await fabric.hold();
	await Promise.all(machines.map(async ({machine}) => machine.qmp.execute('query-status')));
	const at = Date.now() + clockAhead;
	await Promise.all(machines.map(async ({machine}) => machine.qmp.execute('stop')));
	const networks = await fabric.state();
	// None is saved any more when it is told to go on.
	await allOf(machines.map(async ({machine, origin}) => {
		const file = frozenMachine(target, machine.name).state;
		await (origin === undefined ? saveDeviceState(machine, {cwd: folder, socket: stateSocket(machine.name), file, signal}) : saveForkState(machine, {file, origin}));
	}));
	return {networks, at};
}

/** Lets all go on that can: where one cannot, that is told by who watches it. */
async function goOn({machines, fabric}: FreezableLab): Promise<void> {
	await Promise.allSettled(machines.map(async ({machine}) => machine.qmp.execute('cont')));
	await fabric.release().catch(() => {});
}

/** Takes from a machine that stands still what would change if it went on, or be gone if it ended. There is room for the memory of a fork. */
async function takeChanging({machine, memory, disk}: FreezableMachine, target: string, room: Room | undefined, signal: AbortSignal): Promise<TakenPages | undefined> {
	const files = frozenMachine(target, machine.name);
	// Zeros become holes.
	const copy = async (from: string, to: string): Promise<undefined> => {
		await run('cp', ['--sparse=always', '--reflink=auto', from, to], {signal});
	};

	const [own] = await allOf<TakenPages | undefined>([
		room === undefined ? copy(memory, files.memory) : takeOwnPages(machine.pid, memory, {room, overflow: `${files.memory}.own`}),
		copy(disk, files.disk),
	]);
	return own;
}

/** Makes of what was taken the files of a frozen machine, which need no other frozen machine. */
async function complete({machine, memory, blankDisk, initramfs, consoleLog}: FreezableMachine, own: TakenPages | undefined, target: string, signal: AbortSignal): Promise<void> {
	const files = frozenMachine(target, machine.name);
	await run('cp', ['--reflink=auto', initramfs, files.initramfs], {signal});
	await run('cp', [consoleLog, files.console], {signal});
	if (own !== undefined) {
		// Its holes stay holes.
		await run('cp', ['--sparse=auto', '--reflink=auto', memory, files.memory], {signal});
		// What it is a copy of may be read-only.
		await chmod(files.memory, 0o600);
		await putPages(own, files.memory);
		await rm(own.overflow, {force: true});
		// What the guest has filled with zeros takes no room. Where the filesystem has no holes (fallocate(2)), the file is only bigger.
		await run('fallocate', ['--dig-holes', files.memory], {signal}).catch(() => {
			signal.throwIfAborted();
		});
		await run('qemu-img', ['rebase', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', blankDisk, files.disk], {signal});
	}

	// By the way from one stage to the other, and without a look whether it leads there already: a cache that is moved stays good.
	await run('qemu-img', ['rebase', '-q', '-u', '-f', 'qcow2', '-F', 'qcow2', '-b', wayToStage(blankDisk), files.disk], {signal});
}

/** The path of another stage's file (STAGES/KEY/files/NAME) from the folder of a frozen machine (STAGES/KEY/files/MACHINE), wherever the store is. */
function wayToStage(file: string): string {
	const [key = '', ...rest] = file.split(path.sep).slice(-3);
	return path.join('..', '..', '..', key, ...rest);
}

/**
 * Freezes a lab into an empty folder.
 *
 * @param options.goesOn the machines run on afterwards; otherwise they stand still, and are to be ended
 * @param options.onStood is told the seconds that the machines stood still, even where what follows fails; where they do not go on, until they could have
 * @throws `machine-broke`, `monitor-lost`, `fabric-failed`, `program-failed`, the system's error when a file cannot be written
 */
export async function freezeLab(lab: FreezableLab, target: string, options: {goesOn: boolean; onStood?: (seconds: number) => void}): Promise<void> {
	const {folder, plan, inputs, machines, signal} = lab;
	await Promise.all(machines.map(async ({machine}) => mkdir(path.join(target, machine.name), {mode: 0o700})));
	const most = Math.floor((await availableMemory() ?? 0) * shareOfMemory / machines.length);
	const rooms = await allOf(machines.map(async ({machine: {pid}, memory, origin}) => (origin === undefined ? undefined : makeRoom(pid, memory, most))));
	const begin = performance.now();
	const seconds = (): number => (performance.now() - begin) / 1000;
	let stood = 0;
	let standstill: Standstill;
	let own: Array<TakenPages | undefined>;
	try {
		standstill = await bringToStandstill(lab, target);
		stood = seconds();
		own = await allOf(machines.map(async (machine, index) => takeChanging(machine, target, rooms[index], signal)));
	} finally {
		if (options.goesOn) {
			await goOn(lab);
			stood = seconds();
		}

		options.onStood?.(stood);
	}

	for (const machine of machines) {
		await complete(machine, own.shift(), target, signal);
	}

	const {networks, at} = standstill;
	await writeFrozenLab(target, {format: 1, inputs, plan, frozenAt: at, machines: machines.map(({machine}) => machine.name), networks}, folder);
}
