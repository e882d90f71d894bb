/** Looks at everything on this computer that a lab depends on, all at once. */
import path from 'node:path';
import {askDocker, checkBuilders, checkPrograms, checkQemu} from '../host/doctor/programs.ts';
import {checkDisk, checkMemory, checkPort, checkSharedMemory, checkTun, checkUserNamespaces} from '../host/doctor/resources.ts';
import {checkGo, type GoNeed} from '../host/doctor/go.ts';
import type {Finding} from '../host/doctor/finding.ts';
import {LabError} from '../host/error.ts';
import {folders} from '../host/folder.ts';
import {findProgram} from '../host/program.ts';
import {probeAccelerator} from '../machine/accelerator.ts';
import {qemuProgram} from '../machine/machine.ts';
import type {Plan, PlannedStage} from '../plan/plan.ts';
import type {Store} from '../store/store.ts';
import {listLabs} from './labs.ts';

const gib = 1024 ** 3;

/** What the doctor looks at. */
export interface Examination {
	/** The plan of the lab that is to run here, and where its stages are; without it, any small lab. */
	readonly lab?: {readonly plan: Plan; readonly store: Store};
	readonly signal?: AbortSignal | undefined;
}

/** The room that making a stage takes, scratch and caches of compilers included. Bytes, generous. */
const roomFor: Readonly<Record<PlannedStage['recipe']['kind'], number>> = {
	image: 2 * gib, component: gib, modules: 1.5 * gib, 'container-image': 0.2 * gib, layer: 0.5 * gib, disk: 0.01 * gib, 'image-store': gib,
};

/** What a lab of unknown shape is taken to need, in bytes. */
const anyLab = {memory: 4 * gib, disk: 8 * gib};

/** All findings, in the order of the table. Nothing is changed on the computer. */
export async function examineHost(examination: Examination = {}): Promise<Finding[]> {
	const {lab} = examination;
	const missing = lab === undefined ? undefined : await missingStages(lab.plan, lab.store);
	const memory = lab === undefined ? anyLab.memory : lab.plan.machines.reduce((sum, machine) => sum + machine.memory, 0);
	const disk = missing === undefined ? anyLab.disk : missing.reduce((sum, {recipe}) => sum + roomFor[recipe.kind], 1 * gib);
	const docker = askDocker();
	const checks: Array<Promise<readonly Finding[]>> = [
		checkQemu(),
		checkAccelerator(examination),
		checkMemory(memory),
		checkDisk(lab?.store.folder ?? folders().cache, disk),
		checkSharedMemory(memory),
		checkTun(),
		docker.then(checkUserNamespaces),
		missing === undefined ? Promise.resolve([]) : checkGo(missing.flatMap(goNeed)),
		docker.then(checkBuilders),
		checkPrograms(),
		...preferredPorts(lab?.plan).map(async ({port, name}) => checkPort(port, name, await holderOf(port))),
	];
	return (await Promise.all(checks)).flat();
}

/** How guests' instructions are run: found out by running one. The first time takes seconds, later the answer is kept. */
async function checkAccelerator({lab, signal}: Examination): Promise<Finding[]> {
	const id = 'kvm';
	if (await findProgram(qemuProgram) === undefined) {
		return [];
	}

	const image = lab?.plan.stages.find(({recipe}) => recipe.kind === 'image');
	const made = image === undefined ? undefined : await lab?.store.find(image.key);
	try {
		const {accelerator, reason} = await probeAccelerator({signal, ...(made && {kernel: path.join(made.folder, 'vmlinuz')})});
		return [accelerator === 'kvm'
			? {id, status: 'ok', text: reason}
			: {id, status: 'warning', text: reason, advice: 'On a computer with working KVM all goes faster; in a cloud machine, look for nested virtualization.'}];
	} catch (error) {
		if (!(error instanceof LabError) || error.kind === 'interrupted') {
			throw error;
		}

		return [{id, status: 'problem', text: `No guest runs here: ${error.message}`, advice: 'Run `qemu-system-x86_64 --version`, and install the package qemu-system-x86 again.'}];
	}
}

async function missingStages(plan: Plan, store: Store): Promise<PlannedStage[]> {
	const found = await Promise.all(plan.stages.map(async ({key}) => store.find(key)));
	return plan.stages.filter((_, index) => found[index] === undefined);
}

function goNeed({recipe}: PlannedStage): GoNeed[] {
	if (recipe.kind !== 'component' || recipe.component.go === undefined || recipe.component.dir !== undefined) {
		return [];
	}

	const {name, version, go, release, cSources} = recipe.component;
	return [{
		component: `${name} ${version}`,
		released: release !== undefined,
		...(go.goVersion !== undefined && {version: go.goVersion}),
		...((go.cgo === true || cSources !== undefined) && {headers: go.headers ?? []}),
	}];
}

function preferredPorts(plan: Plan | undefined): Array<{port: number; name: string}> {
	return plan === undefined
		? [{port: 18_080, name: 'kube-apiserver'}]
		: plan.forwards.flatMap(({hostPort, name}) => (hostPort === undefined ? [] : [{port: hostPort, name}]));
}

async function holderOf(port: number): Promise<string | undefined> {
	const labs = await listLabs();
	const holder = labs.find(({forwards}) => forwards.some(({hostPort}) => hostPort === port));
	return holder === undefined ? undefined : `the lab ${holder.name}`;
}
