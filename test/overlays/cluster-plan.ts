/** Plans of labs with a cluster, from the overlays of the package. */
import {makePlan} from '../../lab/plan/make-plan.ts';
import type {Plan, PlannedMachine} from '../../lab/plan/plan.ts';
import {packageFolder} from '../../lab/host/folder.ts';
import type {LabDeclaration} from '../../lab/spec/lab.ts';
import {listOverlays, loadOverlay} from '../../lab/spec/load.ts';
import type {FileDeclaration} from '../../lab/spec/secret.ts';
import {image} from '../rig/overlay.ts';

const roots = {folders: [packageFolder]};

/** The plan of a lab with the overlays that the package has. */
export async function planOfLab(lab: LabDeclaration, settings: readonly string[] = []): Promise<Plan> {
	const overlays = await Promise.all((await listOverlays(roots)).map(async name => loadOverlay(name, roots)));
	return makePlan({lab, overlays, settings, imageName: 'bookworm', image});
}

/** A machine of a plan. */
export function machineOf(plan: Plan, name: string): PlannedMachine {
	return plan.machines.find(machine => machine.name === name)!;
}

/** A file of a machine. */
export function fileOf(machine: PlannedMachine, path: string): FileDeclaration | undefined {
	return machine.files.find(file => file.path === path);
}

/** The text of a file of a machine; '' where there is none. */
export function textOf(machine: PlannedMachine, path: string): string {
	const file = fileOf(machine, path);
	return file !== undefined && 'text' in file ? file.text : '';
}

/** The text of all files of a machine, but for those of `base`, which knows the maintenance network. */
export function allText(machine: PlannedMachine): string {
	const base = ['/etc/hosts', '/etc/vmlab/network', '/etc/vmlab/sysctls', '/etc/vmlab/nics'];
	return machine.files.flatMap(file => 'text' in file && !base.includes(file.path) ? [`${file.path}\n${file.text}`] : []).join('\n');
}
