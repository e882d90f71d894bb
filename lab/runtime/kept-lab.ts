/** Frozen labs that somebody asked for, by name: those of `vmlab freeze`, and the checkpoints of a run. They are stages of the store like others. */
import type {EventSink} from '../event/event.ts';
import {digestOf} from '../host/digest.ts';
import {failure} from '../host/failure.ts';
import type {Plan} from '../plan/plan.ts';
import {readyLabChanges, type ReadyLabInputs, readyLabName, readyLabNeeds} from '../plan/ready-lab.ts';
import type {MadeStage, Store} from '../store/store.ts';
import {readFrozenLab} from './frozen-lab.ts';
import {inputsOfReadyLab, writableFiles} from './ready-lab.ts';

/** What the names of such stages begin with: 'frozen NAME', 'checkpoint RUN/STEP'. */
export type KeptKind = 'frozen' | 'checkpoint';

/** The stage's name. */
export function keptName(kind: KeptKind, name: string): string {
	return `${kind} ${name}`;
}

/** Is a stage such a lab? */
export function isKept({name}: Pick<MadeStage, 'name'>): boolean {
	return name.startsWith(keptName('frozen', '')) || name.startsWith(keptName('checkpoint', ''));
}

/** The name that a lab was kept under, from that of its stage. */
export function nameOfKept(stage: {readonly name: string}): string {
	return stage.name.slice(stage.name.indexOf(' ') + 1);
}

/** A lab that can be kept. */
export interface Freezable {
	readonly plan: Plan;
	readonly made: ReadonlyMap<string, MadeStage>;
	freeze(target: string, inputs: ReadyLabInputs, options: {goesOn: boolean}): Promise<void>;
}

/** How a lab is kept. */
export interface KeepOptions {
	readonly store: Store;
	readonly events: EventSink;
	readonly signal: AbortSignal;
	/** Adds files of the caller's to the folder. */
	readonly attach?: (folder: string) => Promise<void>;
}

/**
 * Freezes a lab, which goes on, and keeps it under a name. A kept lab of that name is in the way: `frozen-name-taken`.
 *
 * @throws also what `Lab.freeze` throws
 */
export async function keepLab(lab: Freezable, kind: KeptKind, name: string, options: KeepOptions): Promise<MadeStage> {
	const {store, events, signal, attach} = options;
	const stage = keptName(kind, name);
	const key = digestOf({kind: 'kept lab', stage});
	if (await store.find(key) !== undefined) {
		throw failure.frozenNameTaken(name);
	}

	const inputs = await inputsOfReadyLab(lab.plan, lab.made, signal);
	let ours = false;
	const kept = await store.make({
		name: stage,
		key,
		writable: await writableFiles(lab.plan, lab.made, signal),
		async make({out}) {
			ours = true;
			await lab.freeze(out, inputs, {goesOn: true});
			await attach?.(out);
		},
	}, {events, signal});
	if (!ours) {
		// Somebody took the name after we had looked: what is kept is another lab.
		throw failure.frozenNameTaken(name);
	}

	// It runs on the stages of the lab, which are used as long as it is: to find one marks it as used now.
	await Promise.all(lab.plan.stages.map(async (each) => store.find(each.key)));
	return kept;
}

/** A kept lab with all that a fork of it needs. */
export interface KeptLab {
	readonly plan: Plan;
	/** The stages of its plan that are still there, and itself as the ready lab: a lab that is booted with these is a fork of it. */
	readonly made: ReadonlyMap<string, MadeStage>;
	/** Where its files are. */
	readonly folder: string;
}

/**
 * Finds a kept lab. As long as this process lives, neither it nor what it runs on is pruned.
 *
 * @throws `no-such-frozen-lab` or `no-such-checkpoint`, naming those that there are; `frozen-lab-stale` when this computer or a stage is not what it was frozen with;
 * `frozen-lab-broken` when it is not whole
 */
export async function findKeptLab(kind: KeptKind, name: string, store: Store, signal: AbortSignal): Promise<KeptLab> {
	const kept = (await store.list()).filter((stage) => stage.name.startsWith(`${kind} `));
	const stage = kept.find((candidate) => candidate.name === keptName(kind, name));
	if (stage === undefined) {
		throw failure.noSuchFrozenLab(kind, name, kept.map((candidate) => nameOfKept(candidate)));
	}

	await store.hold([stage.key], signal);
	const {plan, inputs} = await readFrozenLab(stage.folder);
	await store.hold(plan.stages.map(({key}) => key), signal);
	if (await store.find(stage.key) === undefined) {
		throw failure.frozenLabBroken(stage.folder, (await store.problems(stage.key)).join('; ') || 'its record is gone');
	}

	const made = new Map<string, MadeStage>();
	for (const {name: part, key} of plan.stages) {
		const found = await store.find(key);
		if (found !== undefined) {
			made.set(part, found);
		}
	}

	const missing = readyLabNeeds(plan).find((part) => !made.has(part));
	const changes = missing === undefined ? readyLabChanges(inputs, await inputsOfReadyLab(plan, made, signal)) : [`the stage ${missing} is not there any more`];
	if (changes.length > 0) {
		throw failure.frozenLabStale(name, changes);
	}

	return {plan, made: new Map([...made, [readyLabName, stage]]), folder: stage.folder};
}
