/** A lab that another process owns, with what steps need of a lab. */
import {existsSync} from 'node:fs';
import path from 'node:path';
import {labFolder} from '../host/folder.ts';
import type {SshConnection} from '../machine/ssh.ts';
import type {Plan} from '../plan/plan.ts';
import type {MadeStage} from '../store/store.ts';
import {collectEvidence} from './evidence.ts';
import {connectMachine, type LabRecord, readLab} from './labs.ts';

/** The parts of a lab that do not depend on owning it. */
export interface AttachedLab {
	readonly name: string;
	readonly plan: Plan;
	readonly made: ReadonlyMap<string, MadeStage>;
	readonly speed: number;
	readonly kubeconfig?: string;
	/** A connection of one's own to a machine. */
	ssh(machine: string, signal?: AbortSignal): Promise<SshConnection>;
	/** Collects the machines' evidence into a folder. */
	collectEvidence(folder: string, signal?: AbortSignal): Promise<void>;
}

/** A running lab, by its record; the plan and the stages are those that it was started with. */
export function attachLab(record: LabRecord, plan: Plan, made: ReadonlyMap<string, MadeStage>): AttachedLab {
	const {name, speed} = record;
	const folder = labFolder(name);
	const kubeconfig = path.join(folder, 'kubeconfig');
	return {
		name, plan, made, speed: Math.max(1, speed),
		...(existsSync(kubeconfig) && {kubeconfig}),
		ssh: async (machine, signal) => connectMachine(record, machine, {signal}),
		async collectEvidence(target, signal) {
			const now = await readLab(name);
			await collectEvidence({
				folder, target, record: now, pace: Math.max(1, speed), signal,
				machines: plan.machines.map((machine) => ({
					name: machine.name,
					evidence: machine.evidence,
					connect: async (deadline: number, late: AbortSignal) => connectMachine(now, machine.name, {deadline, signal: late}),
				})),
			});
		},
	};
}
