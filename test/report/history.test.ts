import test from 'ava';
import type {LabEvent} from '../../lab/event/event.ts';
import {foldEvents, type History} from '../../lab/report/history.ts';

/** The history of events that are a second apart. */
function historyOf(...events: readonly LabEvent[]): History {
	return foldEvents(events.map((event, index) => ({...event, at: 1000 * (index + 1)})));
}

const began = (scenario: string): LabEvent[] => [
	{type: 'scenario', reason: 'started', scenario, summary: '', lab: scenario},
	{type: 'step', reason: 'started', scenario, step: 'pods answer'},
	{type: 'wait', reason: 'started', scenario, sentence: 'all pods are ready', deadline: 60},
];

test('Two runs that wait for the same each have the end of their own wait', (t) => {
	const {scenarios: [one, two], waits} = historyOf(
		...began('story-1'), ...began('story-2'),
		{type: 'wait', reason: 'met', scenario: 'story-1', sentence: 'all pods are ready', seconds: 4},
		{type: 'wait', reason: 'expired', scenario: 'story-2', sentence: 'all pods are ready', seconds: 60, last: '1 of 2'},
	);
	t.like(one?.steps[0]?.waits, [{state: 'done', start: 3000, end: 7000}]);
	t.like(two?.steps[0]?.waits, [{state: 'failed', start: 6000, end: 8000, last: '1 of 2'}]);
	t.deepEqual(waits.map(({scenario}) => scenario), ['story-2']);
});

test('A wait that was given up has an end, and goes on for nobody', (t) => {
	const {scenarios: [story], waits} = historyOf(
		...began('story'),
		{type: 'wait', reason: 'given-up', scenario: 'story', sentence: 'all pods are ready', seconds: 1, last: '1 of 2'},
		{type: 'note', level: 'info', text: 'later', scenario: 'story'},
	);
	t.like(story?.steps[0]?.waits, [{state: 'running', end: 4000, last: '1 of 2'}]);
	t.deepEqual(waits, []);
});

test('What is said after the end of a scenario is its own too, and what nobody\'s scenario says is nobody\'s', (t) => {
	const {scenarios: [story], notes} = historyOf(
		...began('story'),
		{type: 'step', reason: 'passed', scenario: 'story', step: 'pods answer', seconds: 1},
		{type: 'scenario', reason: 'passed', scenario: 'story', seconds: 2},
		{type: 'note', level: 'warning', text: 'What was changed could not be put back', scenario: 'story'},
		{type: 'note', level: 'info', text: 'of the whole'},
	);
	t.deepEqual(story?.steps[0]?.notes.map(({text}) => text), ['What was changed could not be put back']);
	t.deepEqual(notes.map(({text}) => text), ['of the whole']);
});

test('A fault lasts from when it is told until the same one of the same machine or link is over', (t) => {
	const {faults} = historyOf(
		{type: 'link', reason: 'fault', lab: 'one', link: 'node-1@cluster', fault: 'cut'},
		{type: 'link', reason: 'fault', lab: 'one', link: 'node-2@cluster', fault: 'cut'},
		{type: 'machine', reason: 'fault', lab: 'one', machine: 'node-1', fault: 'paused'},
		{type: 'link', reason: 'recovered', lab: 'two', link: 'node-1@cluster', fault: 'cut', seconds: 1},
		{type: 'link', reason: 'recovered', lab: 'one', link: 'node-1@cluster', fault: 'cut', seconds: 4},
		{type: 'machine', reason: 'recovered', lab: 'one', machine: 'node-1', fault: 'paused', seconds: 3},
	);
	t.deepEqual(faults, [
		{name: 'cut', lab: 'one', of: 'node-1@cluster', start: 1000, end: 5000, state: 'done'},
		{name: 'cut', lab: 'one', of: 'node-2@cluster', start: 2000, state: 'running'},
		{name: 'paused', lab: 'one', of: 'node-1', start: 3000, end: 6000, state: 'done'},
	]);
});

test('A fault that is never over ends with its lab', (t) => {
	const {faults} = historyOf(
		{type: 'lab', reason: 'forking', lab: 'one'},
		{type: 'link', reason: 'fault', lab: 'one', link: 'node-1@cluster', fault: 'cut'},
		{type: 'link', reason: 'fault', lab: 'two', link: 'node-1@cluster', fault: 'cut'},
		{type: 'lab', reason: 'ended', lab: 'one'},
	);
	t.deepEqual(faults.map(({lab, end, state}) => [lab, end, state]), [['one', 4000, 'done'], ['two', undefined, 'running']]);
});
