import test from 'ava';
import {failure} from '../../lab/host/failure.ts';
import {stepName} from '../../lab/scenario/checkpoint.ts';
import {type PassedStep, Story} from '../../lab/scenario/story.ts';
import {recordEvents} from './fake-lab.ts';

const signal = new AbortController().signal;

test('the name of a checkpoint tells which step it is before', (t) => {
	t.is(stepName(3, 'each pod reaches each other pod'), '03-each-pod-reaches-each-other-pod');
	t.is(stepName(12, '400 new connections to http://[1000::2]:5001/hostname are all answered, evenly'), '12-400-new-connections-to-http-1000-2-5001-hostname-a');
	t.is(stepName(1, 'Größe: 3 µs!'), '01-gr-e-3-s');
});

test('before each step that is not within another one its title and what passed are told, and the step begins afterwards', async (t) => {
	const {sink, lines} = recordEvents();
	const told: Array<{title: string; passed: readonly PassedStep[]; lines: number}> = [];
	const story = new Story('s', sink, signal, {
		async before(title, passed) {
			told.push({title, passed: [...passed], lines: lines().length});
		},
	});
	await story.step('one', async () => {
		await story.step('within', async () => {});
		return new Map([['a', 1]]);
	});
	const error = await story.refuted('two', async () => {
		throw failure.commandFailed('cat', 'node-1', 'failed', []);
	});
	await story.step('three', async () => {});
	story.finish();
	t.deepEqual(told.map(({title}) => title), ['one', 'refuted: two', 'three']);
	t.deepEqual(told[2]?.passed, [{title: 'one', value: new Map([['a', 1]])}, {title: 'refuted: two', value: error}]);
	t.is(told[0]?.lines, 0);
});

test('a step whose checkpoint fails, fails with that', async (t) => {
	const {sink, lines} = recordEvents();
	const story = new Story('s', sink, signal, {
		async before() {
			throw failure.diskFull('/somewhere');
		},
	});
	await t.throwsAsync(story.step('one', async () => t.fail()), {message: /No space is left/});
	t.deepEqual(lines(), ['step started one', 'step failed one']);
});

test('steps that are recalled are not run, give what they gave, and leave no line', async (t) => {
	const {sink, lines} = recordEvents();
	const recalled: PassedStep[] = [{title: 'one', value: new Map([['a', 1]])}, {title: 'control', value: new Error('it was refused')}];
	const story = new Story('s', sink, signal, {recalled});
	t.is((await story.step('one', async (): Promise<Map<string, number>> => t.fail() as never)).get('a'), 1);
	t.is((await story.refuted('control', async () => t.fail())).message, 'it was refused');
	t.is(await story.step('two', async () => 2), 2);
	story.finish();
	t.deepEqual(lines(), ['step started two', 'step passed two']);
});
