import test from 'ava';
import {readyLabChanges, type ReadyLabInputs, readyLabInputs, readyLabKey, readyLabNeeds} from '../../lab/plan/ready-lab.ts';
import {overlay, planOf} from '../rig/overlay.ts';

const inputs: ReadyLabInputs = {revision: 6, plan: 'abc', stages: {disk: 'd1', 'layer node': 'l1'}, computer: {accelerator: 'tcg', qemu: 'QEMU emulator version 7.2.22', slirp: 'libslirp.so.0.4.0'}};

test('the same inputs have the same key, in whatever order they are told', (t) => {
	t.regex(readyLabKey(inputs), /^[\da-f]{64}$/);
	t.is(readyLabKey({
		computer: {slirp: 'libslirp.so.0.4.0', accelerator: 'tcg', qemu: 'QEMU emulator version 7.2.22'}, stages: {'layer node': 'l1', disk: 'd1'}, plan: 'abc', revision: 6,
	}), readyLabKey(inputs));
});

const others: Readonly<Record<string, Partial<ReadyLabInputs>>> = {
	'another plan': {plan: 'abd'},
	'another form': {revision: 7},
	'a stage with another content': {stages: {...inputs.stages, disk: 'd2'}},
	'a stage more': {stages: {...inputs.stages, 'layer router': 'l1'}},
	'another QEMU': {computer: {...inputs.computer, qemu: 'QEMU emulator version 8.2.0'}},
	'another accelerator': {computer: {...inputs.computer, accelerator: 'kvm'}},
	'another user network': {computer: {...inputs.computer, slirp: ''}},
	'another processor': {computer: {...inputs.computer, processor: 'max'}},
};
for (const [what, change] of Object.entries(others)) {
	test(`${what} is another frozen lab`, (t) => {
		t.not(readyLabKey({...inputs, ...change}), readyLabKey(inputs));
	});
}

test('what differs is told as clauses, what this computer has first', (t) => {
	t.deepEqual(readyLabChanges(inputs, inputs), []);
	const {revision: _revision, ...before} = inputs;
	t.deepEqual(readyLabChanges(before, inputs), ['another version of vmlab froze it, in another form'], 'one of before the form was kept is another');
	t.deepEqual(readyLabChanges(inputs, {
		revision: 6,
		plan: 'abc',
		stages: {disk: 'd2', 'layer node': 'l1', 'layer router': 'l2'},
		computer: {accelerator: 'tcg', qemu: 'QEMU emulator version 8.2.0', processor: 'max'},
	}), [
		'processor was unknown and is max',
		'qemu was QEMU emulator version 7.2.22 and is QEMU emulator version 8.2.0',
		'slirp was libslirp.so.0.4.0 and is unknown',
		'the stage disk was made again, with another content',
		'the stage layer router was made again, with another content',
	]);
});

const plan = planOf([overlay('base')], {machines: {node: {count: 2}, router: {count: 1}, tester: {count: 1}}});
const made = new Map(plan.stages.map(({name}) => [name, {digest: `content of ${name}`}]));

test('a ready lab depends on the content of all that its machines run on, and on nothing else of the plan', (t) => {
	const needs = readyLabNeeds(plan);
	t.true(needs.includes('image bookworm') && needs.includes('layer node') && needs.includes('layer router'), needs.join(', '));
	t.is(new Set(needs).size, needs.length);
	const found = readyLabInputs(plan, new Map([...made, ['component etcd', {digest: 'whatever'}]]), {qemu: 'one'});
	t.deepEqual(Object.keys(found.stages), needs);
	t.true(needs.every((name) => found.stages[name] === `content of ${name}`));
	t.is(found.plan, plan.key);
	t.deepEqual(found.computer, {qemu: 'one'});
});

test('a ready lab depends on the content of the image store that its nodes have mapped', (t) => {
	const cluster = planOf([overlay('runtime', {provides: ['cri'], images: () => [{reference: 'busybox:1', source: {docker: 'busybox:1'}}]})]);
	t.true(readyLabNeeds(cluster).includes('image store'));
	t.false(readyLabNeeds(cluster).includes('layer image-store'), 'how it was made does not count');
});

test('a stage that was not made is a mistake of ours', (t) => {
	t.throws(() => readyLabInputs(plan, new Map([...made].filter(([name]) => name !== 'layer node')), {}), {message: /"layer node".*not made/});
});
