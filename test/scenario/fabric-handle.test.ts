/** What steps set on links, and that it is put back. */
import test from 'ava';
import type {EventSink} from '../../lab/event/event.ts';
import {changedSetting, type LinkChange, type LinkSetting, plainLink} from '../../lab/fabric/link-setting.ts';
import {failure} from '../../lab/host/failure.ts';
import type {LabError} from '../../lab/host/error.ts';
import {runScenario} from '../../lab/scenario/runner.ts';
import {defineScenario, type LinkReport, type MutationDeclaration, type StepContext} from '../../lab/scenario/scenario.ts';
import {createFakeLab, hang} from './fake-lab.ts';

const link = 'node-1@cluster';
const other = 'node-2@cluster';
const cut = {direction: 'to', cut: true} as const;

interface Links {
	readonly settings: Map<string, LinkSetting>;
	readonly changes: LinkChange[];
	/** What is set on the link: '' for nothing, 'to cut' ... */
	of(name?: string): string;
	links(): Promise<LinkReport[]>;
	changeLink(change: LinkChange): Promise<LinkSetting>;
}

function linkedLab(): Links {
	const settings = new Map<string, LinkSetting>([[link, plainLink], [other, plainLink]]);
	const changes: LinkChange[] = [];
	return {
		settings, changes,
		of: (name = link) => {
			const {carrier, flap, impairments} = settings.get(name)!;
			return [...(carrier === 'down' ? ['no carrier'] : []), ...(flap ? ['flaps'] : []), ...impairments.map(({direction, ...rest}) => `${direction} ${Object.keys(rest).join(' ')}`)].join(', ');
		},
		links: async () => [...settings].map(([name, {carrier}]) => ({link: name, carrier} as LinkReport)),
		async changeLink(change) {
			const before = settings.get(change.link);
			if (before === undefined) {
				throw failure.unknownName('link', change.link, [...settings.keys()]);
			}

			changes.push(change);
			settings.set(change.link, changedSetting(before, change));
			return before;
		},
	};
}

type Run = {lab: Links; error: LabError | undefined; notes: string[]};

async function play(steps: (context: StepContext, lab: Links) => Promise<void>, options: {mutation?: MutationDeclaration; signal?: AbortSignal; lab?: Links} = {}): Promise<Run> {
	const {mutation, signal = new AbortController().signal, lab = linkedLab()} = options;
	const scenario = defineScenario({summary: '', lab: {machines: {}, overlays: []}, budget: '20s', steps: async (context) => steps(context, lab), ...(mutation && {mutation})});
	let error: LabError | undefined;
	const notes: string[] = [];
	const events: EventSink = (event) => {
		if (event.type === 'note') {
			notes.push(event.text);
		}
	};
	await runScenario({name: 'story', scenario, lab: {...createFakeLab(), links: lab.links, changeLink: async (change) => lab.changeLink(change)}, events, signal, mutate: mutation !== undefined}).catch((thrown: LabError) => {
		error = thrown;
	});
	return {lab, error, notes};
}

test('What a step sets holds while it runs, and is put back when it has passed', async (t) => {
	const {lab, error} = await play(async ({step, fabric}, links) => {
		await step('one', async () => {
			await fabric.impair(link, {loss: '5%', direction: 'from'}, {delay: '20ms', direction: 'to', match: {protocol: 'tcp'}});
			await fabric.cut(link, {direction: 'to', match: {family: 'ipv6'}});
			await fabric.carrier(other, 'down');
			t.is(links.of(), 'to match cut, to match delay, from loss');
			t.is(links.of(other), 'no carrier');
		});
		t.is(links.of(), '');
		t.is(links.of(other), '');
	});
	t.is(error, undefined);
	t.is(lab.of(), '');
});

test('It is put back when the step fails, and why the step failed is told', async (t) => {
	const {lab, error} = await play(async ({step, fabric}) => {
		await step('one', async () => {
			await fabric.cut(link);
			throw new Error('it does not answer');
		});
	});
	t.is(error?.message, 'one: it does not answer');
	t.is(lab.of(), '');
	t.true(lab.changes.length > 1);
});

test('What cannot be put back after a step that failed is told, once', async (t) => {
	const {error, notes} = await play(async ({step, fabric}, links) => {
		await step('one', async () => {
			await fabric.cut(link);
			links.changeLink = async () => {
				throw failure.fabricFailed('it has ended');
			};
			throw new Error('it does not answer');
		});
	});
	t.is(error?.message, 'one: it does not answer');
	t.deepEqual(notes.filter((note) => note.includes('put back')), [`What was changed could not be put back: ${failure.fabricFailed('it has ended').message}`]);
});

test('It is put back when the step is still at it when the scenario is ended, and nothing is set afterwards', async (t) => {
	const controller = new AbortController();
	let late: Promise<unknown> | undefined;
	const {lab, error} = await play(async ({step, fabric, signal}) => step('one', async () => {
		await fabric.cut(link);
		setImmediate(() => {
			controller.abort(failure.interrupted('SIGINT'));
		});
		await hang(signal).catch(() => {});
		late = t.throwsAsync(fabric.cut(other), {code: 'interrupted'});
		await late;
		// It goes on as if nothing were.
		await hang(undefined);
	}), {signal: controller.signal});
	t.is(error?.kind, 'interrupted');
	await late;
	t.deepEqual([lab.of(), lab.of(other)], ['', '']);
});

test('A step puts back what was there before it, with how far that was, and a step within it puts back its own', async (t) => {
	const lab = linkedLab();
	lab.settings.set(link, {...plainLink, impairments: [{direction: 'to', loss: 0.1, progress: {frames: 77, inBurst: true, busy: 0}}]});
	await play(async ({step, refuted, fabric}, links) => {
		await step('one', async () => {
			await fabric.impair(link, {direction: 'to', delay: '5ms'});
			await step('within', async () => {
				await fabric.clear(link);
				await fabric.carrier(link, {up: '1s', down: '500ms'});
				t.is(links.of(), 'flaps');
			});
			t.is(links.of(), 'to delay');
			await refuted('control', async () => {
				await fabric.cut(link);
				throw new Error('nothing comes');
			});
			t.is(links.of(), 'to delay');
		});
	}, {lab});
	t.deepEqual(lab.settings.get(link)!.impairments[0]?.progress?.frames, 77);
});

test('What is set outside of steps holds until the scenario ends, as a mutation does', async (t) => {
	const {lab, error} = await play(async ({step, fabric}, links) => {
		await fabric.cut(link, {direction: 'from'});
		await step('one', async () => {
			t.is(links.of(), 'from cut');
		});
		t.is(links.of(), 'from cut');
	});
	t.is(error, undefined);
	t.is(lab.of(), '');
	const mutated = await play(async ({step}, links) => {
		await step('first', async () => {});
		await step('second', async () => {
			if (links.of(other) !== '') {
				throw new Error('it is cut');
			}
		});
	}, {mutation: {summary: 'the link is cut', red: 'second', because: /it is cut/, apply: async ({fabric}) => fabric.cut(other)}});
	t.is(mutated.error, undefined);
	t.is(mutated.lab.of(other), '');
});

test('What cannot be is refused, with the place, and nothing is set', async (t) => {
	for (const [set, expected] of [
		[async (fabric: StepContext['fabric']) => fabric.impair(link, {loss: '120%'}), /`loss` must be at most 100%/],
		[async (fabric: StepContext['fabric']) => fabric.impair(link, {jitter: '5ms'}), /`jitter` needs a `delay`/],
		[async (fabric: StepContext['fabric']) => fabric.cut(link, {match: {port: 0}}), /`match\.port` must be at least 1/],
		[async (fabric: StepContext['fabric']) => fabric.carrier(link, 'dwon' as 'down'), /`dwon` is not a state of a carrier/],
		[async (fabric: StepContext['fabric']) => fabric.carrier(link, {up: '1s'} as never), /`down` is missing/],
		[async (fabric: StepContext['fabric']) => fabric.clear(link, 'in' as 'to'), /must be one of from, to/],
		[async (fabric: StepContext['fabric']) => fabric.cut('node-1@clutser'), /no link `node-1@clutser`/],
		[async (fabric: StepContext['fabric']) => fabric.link('node-1@clutser'), /no link `node-1@clutser`/],
	] as const) {
		const {lab, error} = await play(async ({step, fabric}) => {
			await step('one', async () => {
				await set(fabric);
			});
		});
		t.regex([error?.message, ...error?.details ?? []].join('\n'), expected);
		t.deepEqual(lab.changes, []);
	}
});

test('Links are told, one or all', async (t) => {
	const {error} = await play(async ({step, fabric}) => step('one', async () => {
		t.deepEqual((await fabric.links()).map((each) => each.link), [link, other]);
		await fabric.carrier(other, 'down');
		t.is((await fabric.link(other)).carrier, 'down');
		await fabric.impair(link, cut);
	}));
	t.is(error, undefined);
});
