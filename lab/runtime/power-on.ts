/** From a planned machine to a running one: its files in the lab's folder, its ports, its QEMU. */
import {readFile, stat, writeFile} from 'node:fs/promises';
import path from 'node:path';
import type {EventSink} from '../event/event.ts';
import {LabError} from '../host/error.ts';
import {run} from '../host/program.ts';
import type {AcceleratorProbe} from '../machine/accelerator.ts';
import type {Machine, StartOptions} from '../machine/machine.ts';
import type {MachineSpecification} from '../machine/specification.ts';
import {nicsOf} from '../plan/networks.ts';
import type {Plan, PlannedMachine} from '../plan/plan.ts';
import type {MadeStage} from '../store/store.ts';
import {consoleLogOf} from './console-tail.ts';
import {frozenMachine} from './frozen-lab.ts';
import type {ForwardRecord} from './lab-record.ts';
import {findPorts} from './ports.ts';
import type {LabSecrets} from './secrets.ts';
import {writeInitramfs} from './seed.ts';
import {imageStoreFile, stageFolder} from './stage-folder.ts';

/** Where ssh is on every machine. */
const sshPort = 22;
/** How often a machine is started anew because another process was quicker to take a port. */
const mostAttempts = 5;

/** A machine whose files are there. Paths of sockets and logs are relative to the lab's folder, which QEMU is started in. */
export type PreparedMachine = Omit<MachineSpecification, 'accelerator' | 'readOnlyMemory' | 'memoryFile' | 'maintenance' | 'boots' | 'clock'>;

/** A machine that runs, and how the host reaches it. */
export interface PoweredMachine {
	readonly machine: Machine;
	readonly sshPort: number;
	readonly forwards: readonly ForwardRecord[];
}

/** The socket of a machine's NIC, relative to the lab's folder. */
export function linkSocket(machine: string, device: string): string {
	return path.join(machine, `${device}.sock`);
}

/** The socket that the state of a machine's devices goes over, relative to the lab's folder. */
export function stateSocket(machine: string): string {
	return path.join(machine, 'state.sock');
}

/** The socket of the second serial port of a machine, relative to the lab's folder. */
export function forkSocket(machine: string): string {
	return path.join(machine, 'fork.sock');
}

/**
 * Writes a machine's files into its folder: its initramfs with its seed, and its disk on top of the blank one. A fork has the initramfs
 * of what it is a fork of, and its disk is on top of that one's.
 *
 * @throws `program-missing`, `program-failed`, `disk-full`
 */
export async function prepareMachine(
	planned: PlannedMachine,
	lab: {
		name: string; folder: string; plan: Plan; made: ReadonlyMap<string, MadeStage>; secrets: LabSecrets; frozen?: string | undefined; signal: AbortSignal;
	},
): Promise<PreparedMachine> {
	const {name, stages} = planned;
	const {folder, plan, made, secrets, frozen, signal} = lab;
	const image = stageFolder(made, stages.image);
	const origin = frozen === undefined ? undefined : frozenMachine(frozen, name);
	const disk = path.join(folder, name, 'disk.qcow2');
	const initramfs = origin?.initramfs ?? path.join(folder, name, 'initramfs');
	const layers = [path.join(image, 'root.erofs'), path.join(stageFolder(made, stages.layer), 'layer.erofs')];
	// Not one of the layers of the root: what containers see is stacked on the store itself.
	const attached = stages.store === undefined ? [] : [path.join(stageFolder(made, stages.store), imageStoreFile)];
	const [devices] = await Promise.all([
		Promise.all([...layers, ...attached].map(async (file) => ({file, bytes: (await stat(file)).size}))),
		// A fork's console goes on from what was on it.
		origin !== undefined && writeFile(path.join(folder, consoleLogOf(name)), await readFile(origin.console)),
		origin === undefined && writeInitramfs(planned, {image: path.join(image, 'initramfs'), target: initramfs, secrets, signal}),
		run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', origin?.disk ?? path.join(stageFolder(made, stages.disk), 'disk.qcow2'), disk], {signal}),
	]);
	return {
		lab: lab.name,
		name,
		cpus: planned.cpus,
		memory: planned.memory,
		...(planned.entropy !== undefined && {entropy: planned.entropy}),
		kernel: path.join(image, 'vmlinuz'),
		initramfs,
		append: [...new Set(['console=ttyS0', ...plan.image.kernelArguments ?? [], `vmlab.layers=${layers.length}`, 'vmlab.disk=/dev/vda', ...attached.map((_, index) => `vmlab.image-store=/dev/pmem${layers.length + index}`)])],
		layers: devices,
		disk,
		...(origin !== undefined && {frozen: true}),
		links: nicsOf(planned).map(({mac, device}) => ({mac, socket: linkSocket(name, device)})),
		qmpSocket: path.join(name, 'qmp.sock'),
		consoleLog: consoleLogOf(name),
		consoleSocket: path.join(name, 'console.sock'),
		forkSocket: forkSocket(name),
		log: path.join(name, 'qemu.log'),
	};
}

/**
 * Starts a machine, with a free port of the host for ssh and for each of its forwards: the preferred one where it is free.
 *
 * @param lab.again the machine that it was before its power was cut: it boots, at this time (milliseconds since 1970), and has the same ports where they are free
 * @throws what `start` throws
 */
export async function powerOn(
	prepared: PreparedMachine,
	lab: {
		folder: string; plan: Plan; probe: Pick<AcceleratorProbe, 'accelerator' | 'readOnlyMemory'>; memoryFile: string; maintenanceMac: string; events: EventSink; signal: AbortSignal;
		start: (spec: MachineSpecification, options: StartOptions) => Promise<Machine>;
		again?: {readonly before: PoweredMachine; readonly clock: number} | undefined;
	},
): Promise<PoweredMachine> {
	const {folder, plan, probe: {accelerator, readOnlyMemory}, memoryFile, maintenanceMac, events, signal, start, again} = lab;
	const declared = plan.forwards.filter(({machine}) => machine === prepared.name);
	const former = (name: string): number | undefined => again?.before.forwards.find((forward) => forward.name === name)?.hostPort;
	for (let attempt = 1; ; attempt++) {
		const [ssh = 0, ...hostPorts] = await findPorts([again?.before.sshPort, ...declared.map(({name, hostPort}) => former(name) ?? hostPort)]);
		const forwards = declared.map(({name, machine, port}, index): ForwardRecord => ({name, machine, port, hostPort: hostPorts[index] ?? 0}));
		try {
			const machine = await start({
				...prepared,
				accelerator,
				readOnlyMemory,
				memoryFile,
				...(again !== undefined && {boots: true, clock: again.clock}),
				maintenance: {
					mac: maintenanceMac,
					egress: plan.egress,
					forwards: [{hostPort: ssh, guestPort: sshPort}, ...forwards.map(({hostPort, port}) => ({hostPort, guestPort: port}))],
				},
			}, {cwd: folder, signal});
			for (const [index, {name, hostPort}] of forwards.entries()) {
				const preferred = former(name) ?? declared[index]?.hostPort;
				if (preferred !== undefined && preferred !== hostPort) {
					events({type: 'note', level: 'info', text: `Port ${preferred} of this computer is in use: ${name} answers on 127.0.0.1:${hostPort}`});
				}
			}

			return {machine, sshPort: ssh, forwards};
		} catch (error) {
			if (attempt === mostAttempts || !(error instanceof LabError) || error.code !== 'port-taken') {
				throw error;
			}
		}
	}
}
