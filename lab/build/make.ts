/** Makes the stages of a plan: each as soon as those that it needs are there, at most two heavy ones at once. */
import type {EventSink} from '../event/event.ts';
import {failure} from '../host/failure.ts';
import {throwIfInterrupted} from '../host/interruption.ts';
import type {Plan, PlannedStage, StageRecipe} from '../plan/plan.ts';
import type {MadeStage, StageWork, Store} from '../store/store.ts';

/** How a chain is made. */
export interface MakeOptions {
	readonly store: Store;
	readonly events: EventSink;
	readonly signal: AbortSignal;
	/** Only these stages, by name, and what they need. Default: all of the plan. */
	readonly only?: readonly string[];
	/** The scenario that wants them; see `MadeStage`. */
	readonly scenario?: string | undefined;
	/** Makes what is made inside machines, for plans that have such stages. */
	readonly makeInMachine?: (recipe: Extract<StageRecipe, {kind: 'image-store'}>, made: ReadonlyMap<string, MadeStage>, work: StageWork) => Promise<void>;
}

/** How many heavy stages are made at once: each uses several processors, and much of the disk, by itself. */
const heavyAtOnce = 2;

const heavy: ReadonlySet<PlannedStage['recipe']['kind']> = new Set(['image', 'component', 'modules', 'layer', 'image-store']);

/**
 * Makes what is not in the store yet. What only stages that are there would need is not made again; it is in the result
 * where it is in the store.
 *
 * From the beginning, and as long as this process lives, none of them is pruned: a lab that is booted from them says itself what it uses.
 *
 * When a stage fails, the others are ended, what was made is kept, and the first failure is thrown.
 */
export async function makeStages(plan: Plan, options: MakeOptions): Promise<ReadonlyMap<string, MadeStage>> {
	const {store, events} = options;
	await store.hold(plan.stages.map(({key}) => key), options.signal);
	const stages = new Map(plan.stages.map((stage) => [stage.name, stage]));
	const wanted = wantedStages(plan, options.only);
	const ending = new AbortController();
	const signal = AbortSignal.any([options.signal, ending.signal]);
	const made = new Map<string, MadeStage>();
	const places = new Places(heavyAtOnce);
	const running = new Map<string, Promise<void>>();
	let first: {readonly error: unknown} | undefined;

	const makeOne = async (stage: PlannedStage): Promise<void> => {
		// Roles with the same content share a key: one of them makes it.
		const twin = plan.stages.find(({key}) => key === stage.key)!;
		if (twin !== stage) {
			await start(twin.name);
		} else if (await store.find(stage.key) === undefined) {
			await Promise.all(stage.needs.map(start));
		}

		const {name, key} = stage;
		const endingAll = async <Value>(work: () => Promise<Value>): Promise<Value> => {
			throwIfInterrupted(signal);
			try {
				return await work();
			} catch (error) {
				first ??= {error};
				ending.abort(failure.interrupted(`the failure of ${name}`));
				throw error;
			}
		};

		const request = {
			name, key, madeFor: options.scenario,
			make: async (work: StageWork) => makeRecipe(stage, made, work, options),
			// No place is taken by what another command makes. A failure ends all before its place is free, so that nothing else begins.
			...(heavy.has(stage.recipe.kind) && {turn: async <Value>(work: () => Promise<Value>) => places.use(async () => endingAll(work))}),
		};
		await endingAll(async () => {
			made.set(name, await store.make(request, {events, signal}));
		});
	};

	const start = async (name: string): Promise<void> => {
		const stage = stages.get(name);
		if (stage === undefined) {
			throw new Error(`the plan has no stage ${name}`);
		}

		const promise = running.get(name) ?? makeOne(stage);
		running.set(name, promise);
		return promise;
	};

	const outcomes = await Promise.allSettled(wanted.map(start));
	// What a failed stage needs beside it still has to clear up.
	await Promise.allSettled(running.values());
	const failed = first ?? outcomes.find((outcome) => outcome.status === 'rejected');
	if (failed !== undefined) {
		throw 'error' in failed ? failed.error : failed.reason;
	}

	await Promise.all(plan.stages.filter(({name}) => options.only === undefined && !made.has(name)).map(async ({name, key}) => {
		const found = await store.find(key);
		if (found !== undefined) {
			made.set(name, found);
		}
	}));
	if (plan.stages.some(({recipe}) => recipe.kind === 'modules')) {
		const {checkModules} = await import('./modules.ts');
		await checkModules(plan.stages, made);
	}

	return made;
}

/** Those asked for, or those that no other stage is made from and those that machines run on: the others are made where one of them asks for it. */
function wantedStages({stages, machines}: Plan, only: readonly string[] | undefined): readonly string[] {
	const needed = new Set(stages.flatMap(({needs}) => needs));
	const used = new Set(machines.flatMap((machine) => Object.values(machine.stages)));
	return only ?? stages.map(({name}) => name).filter((name) => used.has(name) || !needed.has(name));
}

/** Each kind's builder is imported when it is used: a command that finds everything made pays for none. */
async function makeRecipe({recipe}: PlannedStage, made: ReadonlyMap<string, MadeStage>, work: StageWork, {makeInMachine}: MakeOptions): Promise<void> {
	switch (recipe.kind) {
		case 'image': {
			const {makeImage} = await import('./image.ts');
			return makeImage(recipe, work);
		}

		case 'component': {
			const {makeComponent} = await import('./component.ts');
			return makeComponent(recipe, work);
		}

		case 'modules': {
			const {makeModules} = await import('./modules.ts');
			return makeModules(recipe, made, work);
		}

		case 'container-image': {
			const {makeContainerImage} = await import('./container-image.ts');
			return makeContainerImage(recipe, made, work);
		}

		case 'layer': {
			const {makeLayer} = await import('./layer.ts');
			return makeLayer(recipe, made, work);
		}

		case 'disk': {
			const {makeDisk} = await import('./disk.ts');
			return makeDisk(recipe, work);
		}

		case 'image-store': {
			if (makeInMachine === undefined) {
				throw new Error('an image store is made inside a machine, and nobody here has one');
			}

			return makeInMachine(recipe, made, work);
		}
	}
}

/** A number of places; who finds none free waits for one. */
class Places {
	#free: number;
	readonly #waiting: Array<() => void> = [];

	constructor(places: number) {
		this.#free = places;
	}

	async use<Value>(work: () => Promise<Value>): Promise<Value> {
		if (this.#free === 0) {
			await new Promise<void>((resolve) => {
				this.#waiting.push(resolve);
			});
		} else {
			this.#free -= 1;
		}

		try {
			return await work();
		} finally {
			const next = this.#waiting.shift();
			if (next === undefined) {
				this.#free += 1;
			} else {
				next();
			}
		}
	}
}
