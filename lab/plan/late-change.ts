/**
 * Labs that differ only late: by options whose files a running machine can take on. The frozen lab of the one is then a change of the other's,
 * which is made in seconds where a boot takes minutes.
 */
import {digestOf} from '../host/digest.ts';
import type {FileDeclaration} from '../spec/secret.ts';
import type {LateChange, Plan, PlannedMachine} from './plan.ts';
import type {ResolvedOverlay} from './resolution.ts';

/** The settings (`overlay.option=value`) that put all late options back to their defaults, and the commands by which machines take them on, in the order of the overlays. */
export function lateOptions(overlays: readonly ResolvedOverlay[]): {settings: string[]; commands: string[]} {
	const changed = overlays.flatMap(({overlay, options}) => Object.entries(overlay.manifest.options ?? {})
		.filter(([name, {late, default: before}]) => late !== undefined && options[name] !== before)
		.map(([name, {late, default: before}]) => ({setting: `${overlay.name}.${name}=${String(before)}`, command: late ?? ''})));
	return {settings: changed.map(({setting}) => setting), commands: [...new Set(changed.map(({command}) => command))]};
}

/** What leads from one plan to another; undefined where it is more than the texts of files. */
export function lateChange(early: Plan, plan: Plan, commands: readonly string[]): LateChange | undefined {
	const files: Record<string, readonly FileDeclaration[]> = {};
	for (const machine of plan.machines) {
		const before = early.machines.find(({name}) => name === machine.name);
		if (before === undefined || digestOf(withoutTexts(before)) !== digestOf(withoutTexts(machine))) {
			return undefined;
		}

		const changed = machine.files.filter((file) => !before.files.some((other) => digestOf(other) === digestOf(file)));
		const gone = before.files.filter(({path}) => !machine.files.some((file) => file.path === path));
		if (gone.length > 0 || changed.some((file) => !('text' in file))) {
			return undefined;
		}

		files[machine.name] = changed;
	}

	const rest = ({topology: {options: _options, ...topology}, stages, image, egress, machines}: Plan): unknown =>
		({topology, stages: stages.map(({key}) => key), image: image.kernelArguments, egress, machines: machines.length});
	return digestOf(rest(early)) === digestOf(rest(plan)) ? {early, files, commands} : undefined;
}

/** All of a machine that a boot decides: not what is only waited for, collected, or done in forks, and not its files. */
function withoutTexts({files: _files, ready: _ready, evidence: _evidence, restartInForks: _restartInForks, ...machine}: PlannedMachine): unknown {
	return machine;
}
