/** Going back in time: the lab as it was before each step of a run, and what the steps before had given. */
import {readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {deserialize, serialize} from 'node:v8';
import {failure} from '../host/failure.ts';
import type {Lab} from '../runtime/lab.ts';
import {findKeptLab, type Freezable, keepLab, type KeepOptions, type KeptLab} from '../runtime/kept-lab.ts';
import type {Store} from '../store/store.ts';
import type {PassedStep, StoryOptions} from './story.ts';

/** In the folder of a checkpoint: its scenario and the steps that had passed, as V8 has values (maps, errors and all). */
const storyFile = 'story';

/** What is in it. */
interface KeptStory {
	readonly scenario: string;
	readonly passed: readonly PassedStep[];
}

/** Longer ones are cut, in characters. */
const longestTitle = 50;

/** The part of a checkpoint's name that says which step it is before: '03-each-pod-reaches-each-other-pod'. */
export function stepName(number: number, title: string): string {
	const words = title.toLowerCase().replaceAll(/[^a-z\d]+/g, '-').replaceAll(/^-|-$/g, '');
	return `${String(number).padStart(2, '0')}-${words.slice(0, longestTitle).replace(/-$/, '')}`;
}

/**
 * Keeps the lab before each step, as the checkpoint RUN/STEP, and tells so. A machine that boots since the step before is let get ready first.
 *
 * @param run names the run; no other has that name
 */
export function keepBeforeSteps(lab: Freezable & Pick<Lab, 'machineReports' | 'machineReady'>, run: string, scenario: string, options: Omit<KeepOptions, 'attach' | 'signal'>): NonNullable<StoryOptions['before']> {
	return async (title, passed, signal) => {
		const name = `${run}/${stepName(passed.length + 1, title)}`;
		const running = (await lab.machineReports()).filter(({state}) => state !== 'off' && state !== 'paused');
		await Promise.all(running.map(async ({machine}) => lab.machineReady(machine, signal)));
		await keepLab(lab, 'checkpoint', name, {
			...options,
			signal,
			attach: async (folder) => writeFile(path.join(folder, storyFile), serialize({scenario, passed: passed.map(serializable)} satisfies KeptStory), {mode: 0o600}),
		});
		options.events({type: 'note', level: 'info', text: `Checkpoint ${name}`});
	};
}

/** What a step gave, where it can be written down; a function cannot. */
function serializable({title, value}: PassedStep): PassedStep {
	try {
		serialize(value);
		return {title, value};
	} catch {
		throw failure.stepMisused(title, 'gives a value that no checkpoint can hold', 'Let it return plain data: objects, arrays, maps, texts, numbers.');
	}
}

/** A checkpoint: the lab, and the story until then. */
export interface Checkpoint extends KeptLab, KeptStory {}

/** Finds the checkpoint RUN/STEP. Throws what `findKeptLab` throws; `frozen-lab-broken`. */
export async function findCheckpoint(name: string, store: Store, signal: AbortSignal): Promise<Checkpoint> {
	const kept = await findKeptLab('checkpoint', name, store, signal);
	try {
		return {...kept, ...deserialize(await readFile(path.join(kept.folder, storyFile))) as KeptStory};
	} catch (error) {
		throw failure.frozenLabBroken(kept.folder, `${storyFile}: ${error instanceof Error ? error.message : String(error)}`, error);
	}
}
