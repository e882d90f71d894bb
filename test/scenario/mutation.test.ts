import assert from 'node:assert/strict';
import test from 'ava';
import {LabError} from '../../lab/host/error.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {runScenario} from '../../lab/scenario/runner.ts';
import {defineScenario, type MutationDeclaration, type StepContext} from '../../lab/scenario/scenario.ts';
import {createFakeLab, recordEvents} from './fake-lab.ts';

/** What a machine would do; the mutation changes it. */
let works = true;

const mutation: MutationDeclaration = {
	summary: 'nothing works', red: 'it works', because: /it does not work/,
	async apply() {
		works = false;
	},
};

async function steps({step, refuted}: StepContext): Promise<void> {
	await step('there is something', async () => {});
	await step('it works', async () => {
		assert.ok(works, 'it does not work any more');
	});
	await refuted('control: nonsense does not', async () => {
		throw new Error('no');
	});
}

async function play(options: {mutation?: Partial<MutationDeclaration>; steps?: typeof steps; mutate?: boolean} = {}): Promise<{error: LabError | undefined; lines: string[]; notes: string[]; evidence: string[]}> {
	works = true;
	const lab = createFakeLab();
	const {events, sink, lines} = recordEvents();
	const scenario = defineScenario({summary: 'a story', lab: {machines: {}, overlays: []}, budget: '20s', steps: options.steps ?? steps, mutation: {...mutation, ...options.mutation}});
	let error: unknown;
	await withTemporaryFolder(async (evidence) => {
		await runScenario({name: 'story', scenario, lab, events: sink, signal: new AbortController().signal, mutate: options.mutate ?? true, evidence});
	}).catch((thrown: unknown) => {
		error = thrown;
	});

	return {error: error as LabError | undefined, lines: lines(), notes: events.flatMap((event) => (event.type === 'note' ? [event.text] : [])), evidence: lab.evidence};
}

test.serial('a scenario with a mutation is not changed unless that is asked for', async (t) => {
	const {error, lines, notes} = await play({mutate: false});
	t.is(error, undefined);
	t.is(lines.at(-1), 'scenario passed');
	t.deepEqual(notes, []);
});

test.serial('a change that turns its step red for its cause passes, and nothing of the run counts as failed', async (t) => {
	const {error, lines, notes, evidence} = await play();
	t.is(error, undefined);
	t.deepEqual(lines, [
		'scenario started', 'step started there is something', 'step passed there is something',
		'step started must fail: it works', 'step passed must fail: it works', 'scenario passed',
	]);
	t.deepEqual(notes, ['The lab is changed: nothing works', 'It failed as it must: it works: it does not work any more']);
	t.deepEqual(evidence, []);
});

test.serial('a change that nothing sees fails', async (t) => {
	const {error, lines} = await play({mutation: {async apply() {}}});
	t.is(error?.code, 'mutation-survived');
	t.is(error?.exitCode, 1);
	t.regex(error?.message ?? '', /"it works" should have failed/);
	t.is(lines.at(-1), 'scenario failed');
});

test.serial('a change that turns another step red fails, and so does one with another cause', async (t) => {
	const other = await play({mutation: {red: 'control: nonsense does not'}});
	t.is(other.error?.code, 'mutation-missed');
	t.deepEqual(other.error?.details.slice(0, 1), ['it works: it does not work any more']);
	const cause = await play({mutation: {because: /a flood/}});
	t.is(cause.error?.code, 'mutation-missed');
	t.true(cause.lines.includes('step failed must fail: it works'));
});

test.serial('a change that cannot be made fails as such, though the step would have failed', async (t) => {
	const {error} = await play({mutation: {before: 'it works', async apply() {
		throw new Error('it does not work, said the change');
	}}});
	t.is(error?.code, 'mutation-missed');
	t.regex(error?.message ?? '', /the change could not be made/);
});

test.serial('a change may wait for a step, and may use the words of a scenario', async (t) => {
	const told: string[] = [];
	const {error, notes} = await play({
		mutation: {before: 'it works', async apply({node, eventually, note}) {
			await eventually('the node answers', async () => node('node-1').$`true`);
			note('done');
			works = false;
		}},
		steps: async (context) => steps({...context, step: async (title, run) => {
			told.push(title);
			return context.step(title, run);
		}}),
	});
	t.is(error, undefined);
	t.deepEqual(told, ['there is something', 'it works']);
	t.deepEqual(notes.slice(0, 2), ['The lab is changed: nothing works', 'done']);
});
