/** Small machines of the project for the rows of networks: forked as any lab is, with NICs that are plugged in while they run. */
import type {Machine} from '../../lab/machine/machine.ts';
import type {Qmp} from '../../lab/machine/qmp.ts';
import {noEvents} from '../../lab/event/event.ts';
import {connectSsh, makeChain, openStore, preparePlan, probeAccelerator, startFabric, startMachine} from './compiled.ts';
import {withFork} from './fork-project.ts';

/** A machine. */
export interface Guest {
	readonly name: string;
	/** The monitor of its QEMU. */
	readonly qmp: Qmp;
	/** Runs a shell command as root, which by itself takes so many seconds, and gives what it writes to stdout. Throws Error with its output where it fails. */
	run(command: string, seconds?: number): Promise<string>;
}

/** Milliseconds that a command may take at KVM speed, beside the seconds that it takes by itself. */
const commandDeadline = 60_000;

/**
 * Gives so many machines to `use`, with `base` and `iptools` and one processor each, and ends them afterwards. They forward nothing, so that a frame for an address that they
 * do not have ends at their NIC.
 */
export async function withGuests<Value>(count: number, use: (guests: readonly Guest[]) => Promise<Value>): Promise<Value> {
	const plan = await preparePlan({
		families: ['ipv4'],
		networks: {own: {subnets: {ipv4: '192.168.1.0/24'}}},
		machines: {peer: {count, memory: '256MiB', networks: ['own']}},
		overlays: ['base', 'iptools'],
	}, {settings: []});
	const made = await makeChain({plan, store: await openStore(), events: noEvents, signal: new AbortController().signal});
	const machines = new Map<string, Machine>();
	const parts = {
		probeAccelerator, startFabric, connectSsh,
		startMachine: async (...words: Parameters<typeof startMachine>) => {
			const machine = await startMachine(...words);
			machines.set(machine.name, machine);
			return machine;
		},
	};
	return withFork({plan, made}, async (lab) => use(await Promise.all(plan.machines.map(async ({name}): Promise<Guest> => {
		const connection = await lab.ssh(name);
		return {
			name,
			qmp: machines.get(name)!.qmp,
			async run(command, seconds = 0) {
				const {stdout, stderr, exitCode} = await connection.exec(command, {timeout: commandDeadline * lab.speed + seconds * 1000});
				if (exitCode !== 0) {
					throw new Error(`${name}: ${command}: exit code ${exitCode}\n${stdout}\n${stderr}`);
				}

				return stdout.trim();
			},
		};
	}))), {parts});
}

/** A flood, or another load, that runs beside: it begins at once, and is ended by `stopLoad`. */
export async function startLoad(guest: Guest, name: string, script: string): Promise<void> {
	await guest.run(`systemd-run --quiet --collect --unit=bench-${name} sh -c '${script}'`);
}

/** Ends a load. */
export async function stopLoad(guest: Guest, name: string): Promise<void> {
	await guest.run(`systemctl stop bench-${name}`);
}
