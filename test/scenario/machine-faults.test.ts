/** What steps do to machines, and that it is put back: once, in reverse order, and what was done to links with it. */
import path from 'node:path';
import test from 'ava';
import {plainLink} from '../../lab/fabric/link-setting.ts';
import type {LabError} from '../../lab/host/error.ts';
import {failure} from '../../lab/host/failure.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {changedFaults, type MachineChange} from '../../lab/runtime/machine-change.ts';
import {runScenario} from '../../lab/scenario/runner.ts';
import {defineScenario, type StepContext} from '../../lab/scenario/scenario.ts';
import {type MachineFaults, noFaults, showFaults} from '../../lab/spec/fault.ts';
import {createFakeLab, hang} from './fake-lab.ts';

interface Machines {
	/** What the lab was told, in order: 'node-1 pause', 'node-1 put clock +1s', 'node-1 ready', 'link node-1@cluster put'. */
	readonly told: string[];
	of(name: string): string;
	/** Machines that do not answer: what is wanted of them ends with the signal alone. */
	readonly silent: Set<string>;
	/** Machines whose monitor is lost. */
	readonly failing: Set<string>;
	readonly closed: string[];
	readonly opened: string[];
}

async function play(steps: (context: StepContext, lab: Machines) => Promise<void>, options: {signal?: AbortSignal; evidence?: string} = {}): Promise<Machines & {error: LabError | undefined}> {
	const faults = new Map<string, MachineFaults>(['node-1', 'node-2', 'tester-1'].map((name) => [name, noFaults]));
	const fake = createFakeLab();
	const told: string[] = [];
	const silent = new Set<string>();
	const failing = new Set<string>();
	const lab: Machines = {told, silent, failing, of: (name) => showFaults(faults.get(name)!).join(', '), closed: fake.closed, opened: fake.opened};
	const scenario = defineScenario({summary: '', lab: {machines: {}, overlays: []}, budget: '20s', steps: async (context) => steps(context, lab)});
	let error: LabError | undefined;
	await runScenario({
		name: 'story', scenario, events() {}, signal: options.signal ?? new AbortController().signal, ...(options.evidence !== undefined && {evidence: options.evidence}),
		lab: {
			...fake,
			async changeLink(change) {
				told.push(`link ${change.link} ${change.kind}`);
				return plainLink;
			},
			machineReports: async () => [...faults].map(([machine, now]) => ({machine, faults: now, state: now.power === 'off' ? 'off' : now.paused === true ? 'paused' : 'ready'})),
			async changeMachine(change: MachineChange, signal?: AbortSignal) {
				const {machine} = change;
				if (silent.has(machine)) {
					await hang(signal);
				}

				if (failing.has(machine)) {
					throw failure.monitorLost(machine, 'it does not answer');
				}

				faults.set(machine, changedFaults(faults.get(machine)!, change));
				told.push(`${machine} ${change.kind}${change.kind === 'put' ? ` ${showFaults(change.faults).join(', ')}`.trimEnd() : ''}`);
			},
			async machineReady(machine) {
				told.push(`${machine} ready`);
			},
			async collectEvidence() {
				told.push(`evidence while node-1 is ${lab.of('node-1') || 'well'}`);
			},
		},
	}).catch((thrown: LabError) => {
		error = thrown;
	});
	return {...lab, error};
}

test('what a step does to machines is put back in reverse order, with what it did to links, and its machines are waited for', async (t) => {
	const {told, error} = await play(async ({step, node, fabric}, lab) => {
		await step('one', async () => {
			await node('node-1').pause();
			await fabric.cut('node-1@cluster');
			await node('node-2').kill();
			await node('node-1').resume();
			await node('node-1').skewClock('+90s');
		});
		lab.told.push('over');
	});
	t.is(error, undefined);
	t.deepEqual(told, ['node-1 pause', 'link node-1@cluster impair', 'node-2 kill', 'node-1 resume', 'node-1 skew-clock', 'node-2 put', 'node-2 ready', 'link node-1@cluster put', 'node-1 put', 'node-1 ready', 'over']);
});

test('a step within another puts back what the outer one had done, and the outer one what was before', async (t) => {
	const {told, of} = await play(async ({step, refuted, node}, lab) => {
		await step('outer', async () => {
			await node('node-1').pause();
			await node('node-1').hangDisk();
			await step('inner', async () => {
				await node('node-1').kill();
				t.is(lab.of('node-1'), 'off');
			});
			t.is(lab.of('node-1'), 'paused, disk hangs');
			await refuted('control', async () => {
				await node('node-1').recover();
				t.is(lab.of('node-1'), '');
				throw new Error('no answer');
			});
			t.is(lab.of('node-1'), 'paused, disk hangs');
		});
	});
	t.is(of('node-1'), '');
	t.deepEqual(told, ['node-1 pause', 'node-1 hang-disk', 'node-1 kill', 'node-1 put paused, disk hangs', 'node-1 recover', 'node-1 put paused, disk hangs', 'node-1 put', 'node-1 ready']);
});

test('a step that fails puts its machines back before evidence is asked for, and does not wait until they are ready', async (t) => {
	const {told, error} = await withTemporaryFolder(async (folder) => play(async ({step, node}) => {
		await step('one', async () => {
			await node('node-1').kill();
			throw new Error('it does not come back');
		});
	}, {evidence: path.join(folder, 'evidence')}));
	t.is(error?.message, 'one: it does not come back');
	t.deepEqual(told.slice(0, 3), ['node-1 kill', 'node-1 put', 'evidence while node-1 is well']);
	t.false(told.includes('node-1 ready'));
});

test('a negative control that refuted its sentence has passed: its machines are waited for', async (t) => {
	const {told, error} = await play(async ({refuted, node}, lab) => {
		await refuted('the Service answers without node-1', async () => {
			await node('node-1').kill();
			throw new Error('no answer');
		});
		lab.told.push('over');
	});
	t.is(error, undefined);
	t.deepEqual(told, ['node-1 kill', 'node-1 put', 'node-1 ready', 'over']);
});

test('when the scenario is ended each machine is put back once, also after one that does not answer', async (t) => {
	const controller = new AbortController();
	const begin = performance.now();
	// A real machine's socket keeps the process alive, where a time limit alone does not.
	const alive = setInterval(() => {}, 1000);
	t.teardown(() => {
		clearInterval(alive);
	});
	const {told, of} = await play(async ({step, node, signal}, lab) => step('one', async () => {
		await node('node-1').pause();
		await node('node-2').takeMemory('50%');
		lab.silent.add('node-2');
		setImmediate(() => {
			controller.abort(failure.interrupted('SIGINT'));
		});
		await hang(signal);
	}), {signal: controller.signal});
	t.deepEqual(told, ['node-1 pause', 'node-2 take-memory', 'node-1 put']);
	t.is(of('node-1'), '');
	t.true(performance.now() - begin < 15_000);
});

test('a change that fails is put back too, and so is one that nobody awaited', async (t) => {
	const {told} = await play(async ({step, node}, lab) => {
		await step('one', async () => {
			lab.failing.add('node-1');
			await t.throwsAsync(node('node-1').pause(), {code: 'monitor-lost'});
			lab.failing.delete('node-1');
			void node('node-2').pause();
		});
	});
	t.deepEqual(told, ['node-2 pause', 'node-2 put', 'node-2 ready', 'node-1 put', 'node-1 ready']);
});

test('what is done outside of steps holds until the scenario ends', async (t) => {
	const {told, of} = await play(async ({step, node}, lab) => {
		await node('node-1').fillDisk({leave: '10MiB'});
		await step('one', async () => {
			t.is(lab.of('node-1'), 'disk full but for 10MiB');
		});
	});
	t.is(of('node-1'), '');
	t.deepEqual(told, ['node-1 fill-disk', 'node-1 put']);
});

test('a command on a machine that stands still is refused at once, and connections of one that began anew are opened anew', async (t) => {
	const {error, opened, closed} = await play(async ({step, node}) => step('one', async () => {
		const {$, pause, resume, reset, ready} = node('node-1');
		await $`one`;
		await pause();
		await t.throwsAsync($`two`, {code: 'machine-stands-still', message: 'The machine node-1 is paused'});
		await resume();
		await $`three`;
		await reset();
		await ready();
		await $`four`;
	}));
	t.is(error, undefined);
	t.deepEqual([opened, closed], [['node-1', 'node-1'], ['node-1', 'node-1']]);
});

test('what cannot be is refused, and nothing is done', async (t) => {
	for (const [what, expected] of [
		[async ({node}: StepContext) => node('node-1').skewClock('90s' as '+90s'), /`90s` is not a skew of a clock/],
		[async ({node}: StepContext) => node('node-1').takeMemory('120%'), /`120%` is not a percentage/],
		[async ({node}: StepContext) => node('node-1').takeMemory('0%'), /`0%` is not a size or part of memory/],
		[async ({node}: StepContext) => node('node-1').fillDisk({leave: '10MB' as '10MiB'}), /`10MB` is not a size/],
		[async ({node}: StepContext) => node('node-1').fillDisk({path: 'var'}), /`var` is not a folder of a machine/],
	] as const) {
		const {told, error} = await play(async (context) => context.step('one', async () => what(context)));
		t.regex(error?.message ?? '', expected);
		t.deepEqual(told, []);
	}
});
