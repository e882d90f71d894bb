/** The last stage of a chain: the lab itself, booted until it was ready, and frozen. It is made inside machines, and so here. */
import type {EventSink} from '../event/event.ts';
import {probeAccelerator} from '../machine/accelerator.ts';
import {describeEmulator} from '../machine/emulator.ts';
import type {Plan} from '../plan/plan.ts';
import {changedLabName, readyLabChanges, type ReadyLabInputs, readyLabInputs, readyLabKey, readyLabName, readyStageName} from '../plan/ready-lab.ts';
import type {MadeStage, Store} from '../store/store.ts';
import {memoryFiles, readFrozenLab} from './frozen-lab.ts';
import {kernelOf} from './stage-folder.ts';
import {withLab} from './with-lab.ts';

/** What a ready lab is made from. */
export interface ReadyLabRequest {
	readonly plan: Plan;
	/** All stages of the plan, by name. */
	readonly made: ReadonlyMap<string, MadeStage>;
	readonly store: Store;
	readonly events: EventSink;
	readonly signal: AbortSignal;
	/** The scenario that wants it, for the report of a boot that fails, and for whoever lists stages. */
	readonly scenario?: string | undefined;
	/** A folder for the machines' evidence when the boot fails. */
	readonly evidence?: string | undefined;
}

/** What a ready lab of this plan, made here and now, depends on. Throws `program-missing`, `program-failed`. */
export async function inputsOfReadyLab(plan: Plan, made: ReadonlyMap<string, MadeStage>, signal?: AbortSignal): Promise<ReadyLabInputs> {
	const {accelerator} = await probeAccelerator({kernel: kernelOf(plan, made), signal});
	return readyLabInputs(plan, made, await describeEmulator(accelerator, signal));
}

/** The files of a frozen lab of this plan that keep their owner's right to write: none where QEMU need not open them for that. Throws like `inputsOfReadyLab`. */
export async function writableFiles(plan: Plan, made: ReadonlyMap<string, MadeStage>, signal?: AbortSignal): Promise<string[]> {
	const {readOnlyMemory} = await probeAccelerator({kernel: kernelOf(plan, made), signal});
	return readOnlyMemory ? [] : memoryFiles(plan);
}

/**
 * Finds the frozen lab of a plan, or boots the lab and freezes it. Of two processes that want the same one makes it. As long as this process
 * lives it is not pruned.
 *
 * @returns the stages, and with them that of the ready lab: a lab that is booted with these is a fork
 * @throws what `bootLab` and `Lab.freeze` throw
 */
export async function makeReadyLab(request: ReadyLabRequest): Promise<ReadonlyMap<string, MadeStage>> {
	const {plan, made, store, events, signal, evidence, scenario} = request;
	const inputs = await inputsOfReadyLab(plan, made, signal);
	const key = readyLabKey(inputs);
	// Until the lab that is forked from it says itself what it uses.
	await store.hold([key], signal);
	// What it is a change of comes first, as a stage of its own; and is not needed where this one is there.
	const origin = plan.change === undefined || await store.find(key) !== undefined ? made : await makeReadyLab({...request, plan: plan.change.early});
	const stage = await store.make({
		name: readyStageName(plan),
		key,
		madeFor: scenario,
		writable: await writableFiles(plan, made, signal),
		async make(work) {
			await tellWhy(store, inputs, events);
			// Whoever only asks for the key does not load all that runs labs.
			const [{bootLab}, {applyChange}, {withEvidence}] = await Promise.all([import('./lab.ts'), import('./late-change.ts'), import('./kept-evidence.ts')]);
			// A name of its own, which no scenario has: whoever lists labs sees what goes on.
			const name = `ready-${key.slice(0, 12)}-${process.pid}`;
			events({type: 'note', level: 'info', text: plan.change === undefined
				? `The lab is booted once, as ${name}, and kept frozen when it is ready; this run and later ones start from a fork of it`
				: `A fork of the lab with the defaults is changed, as ${name}, and kept frozen too`});
			// What is wrong with links is set on forks: all labs that differ in nothing else share this one.
			const {links: _links, ...shared} = plan;
			await withLab(await bootLab({name, makes: readyStageName(plan), scenario, plan: shared, made: origin, events, signal: work.signal, evidence}), events, async (lab) => withEvidence(lab, {folder: evidence, scenario: scenario ?? name, events}, work.signal, async () => {
				if (plan.change !== undefined) {
					await applyChange(lab, plan.change, {events, signal: work.signal});
				}

				await lab.freeze(work.out, inputs, {goesOn: false});
			}));
		},
	}, {events, signal});
	return new Map([...made, [readyLabName, stage]]);
}

/** Says why a frozen lab of the same plan that is there cannot be used. */
async function tellWhy(store: Store, inputs: ReadyLabInputs, events: EventSink): Promise<void> {
	for (const stage of (await store.list()).filter(({name}) => name === readyLabName || name === changedLabName).reverse()) {
		const other = await readFrozenLab(stage.folder).catch(() => undefined);
		if (other?.inputs.plan === inputs.plan) {
			events({type: 'note', level: 'info', text: `The frozen lab of before is not used: ${readyLabChanges(other.inputs, inputs).join('; ') || 'it was made by another version of vmlab'}`});
			return;
		}
	}
}
