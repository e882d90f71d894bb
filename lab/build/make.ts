/** Makes the stages of a plan: each as soon as those that it needs are there, at most two heavy ones at once. */
import {type EventSink} from '../event/event.ts';
import type {Plan, PlannedStage} from '../plan/plan.ts';
import type {MadeStage, StageWork, Store} from '../store/store.ts';

/** How a chain is made. */
export interface MakeOptions {
	readonly store: Store;
	readonly events: EventSink;
	readonly signal: AbortSignal;
	/** Only these stages, by name, and what they need. Default: all of the plan. */
	readonly only?: readonly string[];
}

/** How many stages are made at once: builds use several processors by themselves. */
const atOnce = 2;

/**
 * Makes what is not in the store yet.
 *
 * When a stage fails, the others are ended, what was made is kept, and the first failure is thrown.
 */
export async function makeStages(plan: Plan, options: MakeOptions): Promise<ReadonlyMap<string, MadeStage>> {
	const stages = new Map(plan.stages.map((stage) => [stage.name, stage]));
	const ending = new AbortController();
	const signal = AbortSignal.any([options.signal, ending.signal]);
	const made = new Map<string, MadeStage>();
	const places = new Places(atOnce);
	const running = new Map<string, Promise<MadeStage>>();

	const make = async (stage: PlannedStage): Promise<MadeStage> => {
		await Promise.all(stage.needs.map(start));
		signal.throwIfAborted();
		const result = await options.store.make(
			{
				name: stage.name,
				key: stage.key,
				make: async (work) => places.use(async () => {
					work.signal.throwIfAborted();
					await makeRecipe(stage, made, work);
				}),
			},
			{events: options.events, signal},
		);
		made.set(stage.name, result);
		return result;
	};

	const start = async (name: string): Promise<MadeStage> => {
		const stage = stages.get(name);
		if (stage === undefined) {
			throw new Error(`the plan has no stage ${name}`);
		}

		let promise = running.get(name);
		if (promise === undefined) {
			promise = make(stage);
			running.set(name, promise);
		}

		return promise;
	};

	let first: unknown;
	await Promise.all((options.only ?? [...stages.keys()]).map(async (name) => start(name).catch((error: unknown) => {
		first ??= error;
		ending.abort(error);
	})));
	if (first !== undefined) {
		throw first;
	}

	return made;
}

/** Each kind's builder is imported when it is used: a command that finds everything made pays for none. */
async function makeRecipe({recipe}: PlannedStage, made: ReadonlyMap<string, MadeStage>, work: StageWork): Promise<void> {
	switch (recipe.kind) {
		case 'image': {
			const {makeImage} = await import('./image.ts');
			return makeImage(recipe, work);
		}

		case 'component': {
			const {makeComponent} = await import('./component.ts');
			return makeComponent(recipe, work);
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
