/** A change of what is wrong with a machine on purpose, and what it makes of it: pure. */
import {type MachineFaults, noFaults} from '../spec/fault.ts';
import type {MachineState} from './lab-record.ts';

/** A change; the machine is known by its name. */
export type MachineChange = {readonly machine: string} & (
	/**
	 * `kill` takes the power away, `start` gives it. `reset` is the button, and `reboot` tells the machine to shut down and boot anew: afterwards nothing is wrong that a
	 * reboot ends. `recover` ends all that is wrong.
	 */
	| {readonly kind: 'pause' | 'resume' | 'reset' | 'reboot' | 'kill' | 'start' | 'hang-disk' | 'recover'}
	| {readonly kind: 'fill-disk'; readonly fill: NonNullable<MachineFaults['fill']>}
	| {readonly kind: 'skew-clock'; readonly skew: number}
	| {readonly kind: 'take-memory'; readonly memory: NonNullable<MachineFaults['memory']>}
	/** Sets all of it, as it was before a change. */
	| {readonly kind: 'put'; readonly faults: MachineFaults}
);

/** What is told of a machine. */
export interface MachineReport {
	readonly machine: string;
	readonly state: MachineState;
	readonly faults: MachineFaults;
}

/** What a reboot leaves: the file that fills the disk, and what the computer beneath does. */
export function faultsAfterReboot({skew: _skew, memory: _memory, ...rest}: MachineFaults): MachineFaults {
	return rest;
}

/** What a change makes of what is wrong. */
export function changedFaults(faults: MachineFaults, change: MachineChange): MachineFaults {
	switch (change.kind) {
		case 'pause': {
			return {...faults, paused: true};
		}

		case 'resume': {
			const {paused: _paused, ...rest} = faults;
			return rest;
		}

		case 'reboot':
		case 'reset': {
			return faultsAfterReboot(faults);
		}

		case 'kill': {
			return {power: 'off', ...(faults.fill && {fill: faults.fill})};
		}

		case 'start': {
			const {power: _power, ...rest} = faults;
			return rest;
		}

		case 'hang-disk': {
			return {...faults, disk: 'hung'};
		}

		case 'fill-disk': {
			return {...faults, fill: change.fill};
		}

		case 'skew-clock': {
			const {skew: _skew, ...rest} = faults;
			return change.skew === 0 ? rest : {...rest, skew: change.skew};
		}

		case 'take-memory': {
			return {...faults, memory: change.memory};
		}

		case 'recover': {
			return noFaults;
		}

		case 'put': {
			return change.faults;
		}
	}
}
