/** What is wrong on purpose with the machines of a lab that another process owns. */
import {askLabFor} from './lab-client.ts';
import type {MachineChange, MachineReport} from './machine-change.ts';

/** All machines of a lab. Throws `supervisor-lost`, and what the lab says. */
export async function readMachines(lab: string, signal?: AbortSignal): Promise<readonly MachineReport[]> {
	return (await askLabFor(lab, {request: 'machines'}, 'machines', signal)).machines;
}

/** Has its owner change what is wrong with a machine. Throws what `LabFaults.change` does, and like `readMachines`. */
export async function changeMachine(lab: string, change: MachineChange, signal?: AbortSignal): Promise<void> {
	await askLabFor(lab, {request: 'change-machine', change}, 'machine-changed', signal);
}

/** Returns when a machine that was reset or powered on is ready. Throws what `LabFaults.settled` does, and like `readMachines`. */
export async function machineReady(lab: string, machine: string, signal?: AbortSignal): Promise<void> {
	await askLabFor(lab, {request: 'machine-ready', machine}, 'machine-ready', signal);
}
