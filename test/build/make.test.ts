import {setImmediate as turn} from 'node:timers/promises';
import test from 'ava';
import {makeStages} from '../../lab/build/make.ts';
import {noEvents} from '../../lab/event/event.ts';
import {failure} from '../../lab/host/failure.ts';
import type {Plan, PlannedStage, StageRecipe} from '../../lab/plan/plan.ts';
import type {MadeStage, StageRequest, StageWork, Store} from '../../lab/store/store.ts';

function stage(name: string, needs: readonly string[] = [], key = name, kind: StageRecipe['kind'] = 'component'): PlannedStage {
	// Nothing is really made here, so that a recipe is only its kind.
	return {name, key, needs, recipe: {kind} as StageRecipe};
}

function plan(...stages: readonly PlannedStage[]): Plan {
	return {stages, machines: []} as unknown as Plan;
}

const signal = new AbortController().signal;

/** A store that makes nothing, and tells in which order it was asked to. */
class FakeStore implements Store {
	readonly folder = '/nowhere';
	readonly started: string[] = [];
	readonly ended: string[] = [];
	readonly held: string[] = [];
	readonly there: Set<string>;
	most = 0;
	#running = 0;
	readonly #make: (request: StageRequest, signal: AbortSignal) => Promise<void>;

	constructor(there: readonly string[] = [], make: (request: StageRequest, signal: AbortSignal) => Promise<void> = async () => turn()) {
		this.there = new Set(there);
		this.#make = make;
	}

	async find(key: string): Promise<MadeStage | undefined> {
		return this.there.has(key) ? {name: key, key, folder: `/nowhere/${key}`, digest: '', madeAt: 0, seconds: 0, bytes: 0} : undefined;
	}

	async problems(): Promise<string[]> {
		return [];
	}

	async make(request: StageRequest, options: {signal: AbortSignal}): Promise<MadeStage> {
		const {turn: take = async (work) => work()} = request;
		if (!this.there.has(request.key)) {
			await take(async () => {
				this.started.push(request.name);
				this.#running += 1;
				this.most = Math.max(this.most, this.#running);
				try {
					await this.#make(request, options.signal);
				} finally {
					this.#running -= 1;
					this.ended.push(request.name);
				}

				this.there.add(request.key);
			});
		}

		return (await this.find(request.key))!;
	}

	async hold(keys: readonly string[]): Promise<void> {
		this.held.push(...keys);
	}

	async list(): Promise<MadeStage[]> {
		return [];
	}

	async verify(): Promise<string[]> {
		return [];
	}

	async prune(): Promise<MadeStage[]> {
		return [];
	}

	async remove(): Promise<{removed: MadeStage[]; inUse: MadeStage[]}> {
		return {removed: [], inUse: []};
	}
}

test('each stage is made after those that it needs', async (t) => {
	const store = new FakeStore();
	const made = await makeStages(plan(stage('a'), stage('b', ['a']), stage('c', ['a']), stage('d', ['b', 'c'])), {store, events: noEvents, signal});
	t.deepEqual([...made.keys()].sort(), ['a', 'b', 'c', 'd']);
	t.is(store.started[0], 'a');
	t.is(store.started[3], 'd');
});

test('all stages of the plan are held before the first is looked for', async (t) => {
	const store = new FakeStore();
	const find = store.find.bind(store);
	store.find = async (key) => {
		t.deepEqual(store.held, ['a', 'b']);
		return find(key);
	};

	await makeStages(plan(stage('a'), stage('b', ['a'])), {store, events: noEvents, signal, only: ['a']});
	t.deepEqual(store.held, ['a', 'b']);
});

test('at most two heavy stages are made at once, and light ones beside them', async (t) => {
	const store = new FakeStore();
	await makeStages(plan(...['a', 'b', 'c', 'd'].map((name) => stage(name))), {store, events: noEvents, signal});
	t.is(store.most, 2);
	const light = new FakeStore();
	await makeStages(plan(...['a', 'b', 'c', 'd'].map((name) => stage(name, [], name, 'disk'))), {store: light, events: noEvents, signal});
	t.is(light.most, 4);
});

test('what another command makes takes no place from what this one can make', async (t) => {
	const store = new FakeStore();
	const make = store.make.bind(store);
	let tell: (() => void) | undefined;
	const elsewhere = new Promise<void>((resolve) => {
		tell = resolve;
	});
	store.make = async (request, options) => {
		if (request.name === 'c') {
			tell!();
		} else {
			await elsewhere;
			store.there.add(request.key);
		}

		return make(request, options);
	};

	await makeStages(plan(...['a', 'b', 'c'].map((name) => stage(name))), {store, events: noEvents, signal});
	t.deepEqual(store.started, ['c']);
});

test('when all is there, nothing is made', async (t) => {
	const store = new FakeStore(['a', 'b']);
	const made = await makeStages(plan(stage('a'), stage('b', ['a'])), {store, events: noEvents, signal});
	t.deepEqual(store.started, []);
	t.deepEqual([...made.keys()].sort(), ['a', 'b']);
});

test('what machines run on is there, even where all that was made from it is there already', async (t) => {
	const store = new FakeStore(['store']);
	const made = await makeStages({...plan(stage('image'), stage('store', ['image'])), machines: [{stages: {image: 'image'}}]} as unknown as Plan, {store, events: noEvents, signal});
	t.deepEqual(store.started, ['image']);
	t.deepEqual([...made.keys()].sort(), ['image', 'store']);
});

test('what only a stage that is there was made from is not made again', async (t) => {
	const store = new FakeStore(['layer']);
	const made = await makeStages(plan(stage('component'), stage('layer', ['component'])), {store, events: noEvents, signal});
	t.deepEqual(store.started, []);
	t.deepEqual([...made.keys()], ['layer']);
});

test('only what is asked for is made, with what it needs', async (t) => {
	const store = new FakeStore();
	const made = await makeStages(plan(stage('a'), stage('b', ['a']), stage('c')), {store, events: noEvents, signal, only: ['b']});
	t.deepEqual(store.started, ['a', 'b']);
	t.deepEqual([...made.keys()], ['a', 'b']);
});

test('stages of one key are made once', async (t) => {
	const store = new FakeStore();
	const made = await makeStages(plan(stage('layer router', [], 'same'), stage('layer tester', [], 'same')), {store, events: noEvents, signal});
	t.deepEqual(store.started, ['layer router']);
	t.deepEqual([...made.keys()].sort(), ['layer router', 'layer tester']);
});

test('when a stage fails the others are ended, what was made stays, and the first failure is told', async (t) => {
	const store = new FakeStore([], async ({name}, ending) => {
		if (name === 'bad') {
			await turn();
			throw failure.componentMissing('bad', '1', [], '/log');
		}

		if (name === 'slow') {
			await new Promise<void>((_resolve, reject) => {
				ending.addEventListener('abort', () => {
					reject(ending.reason as Error);
				});
			});
		}
	});
	const stages = plan(stage('good', [], 'good', 'disk'), stage('slow'), stage('bad'), stage('after', ['bad']), stage('waiting'));
	await t.throwsAsync(makeStages(stages, {store, events: noEvents, signal, only: ['good', 'slow', 'bad', 'waiting', 'after']}), {code: 'component-missing'});
	t.deepEqual([...store.there], ['good']);
	t.true(store.ended.includes('slow'), 'the call ends after all makers have');
	t.false(store.started.includes('after'));
	t.false(store.started.includes('waiting'));
});

test('a stage that the plan does not have is not passed over in silence', async (t) => {
	await t.throwsAsync(makeStages(plan(stage('a')), {store: new FakeStore(), events: noEvents, signal, only: ['b']}), {message: /no stage b/});
});

test('an interruption before the start makes nothing', async (t) => {
	const store = new FakeStore();
	const controller = new AbortController();
	controller.abort(failure.interrupted('SIGINT'));
	await t.throwsAsync(makeStages(plan(stage('a')), {store, events: noEvents, signal: controller.signal}), {code: 'interrupted', message: /SIGINT/});
	t.deepEqual(store.started, []);
});

test('what is made inside machines is made by whoever has some, from the stages that it needs', async (t) => {
	const seen: string[][] = [];
	const real = new FakeStore([], async (request) => request.make({} as StageWork));
	const stages = plan({...stage('disk'), recipe: {kind: 'disk', size: 1}}, stage('store', ['disk'], 'store', 'image-store'));
	real.there.add('disk');
	await makeStages(stages, {store: real, events: noEvents, signal, makeInMachine: async (_recipe, made) => {
		seen.push([...made.keys()]);
	}});
	t.deepEqual(seen, [['disk']]);
	await t.throwsAsync(makeStages(stages, {store: new FakeStore(['disk'], async (request) => request.make({} as StageWork)), events: noEvents, signal}), {message: /made inside a machine/});
});
