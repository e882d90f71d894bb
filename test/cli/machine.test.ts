/** `vmlab machine` against a lab of this process, whose machines only say that they are there. */
import path from 'node:path';
import test from 'ava';
import {bootLab} from '../../lab/runtime/lab.ts';
import type {MachineReport} from '../../lab/runtime/machine-change.ts';
import {outcomeText, vmlab} from '../rig/command.ts';
import {createStandIns, type StandIns, standInPlan, standInStages, withStateFolder} from '../runtime/stand-ins.ts';

type Call = (...words: string[]) => ReturnType<typeof vmlab>;

async function withLab(use: (call: Call, parts: StandIns) => Promise<void>): Promise<void> {
	await withStateFolder(async (folder) => {
		const parts = createStandIns();
		const lab = await bootLab({name: 'mine', plan: standInPlan(['node-1', 'node-2']), made: await standInStages(folder), events() {}, signal: new AbortController().signal}, parts);
		try {
			await use(async (...words) => vmlab(words, {env: {VMLAB_STATE_DIR: path.join(folder, 'state'), VMLAB_CACHE_DIR: path.join(folder, 'cache')}}), parts);
		} finally {
			await lab.down();
		}
	});
}

test.serial('machines are listed with what is wrong with them, in status and list too, and recover', async (t) => {
	await withLab(async (call, parts) => {
		const plain = ['MACHINE  STATE  FAULTS', 'node-1   ready', 'node-2   ready', ''].join('\n');
		t.is((await call('machine', 'list')).stdout.replaceAll(/ +$/gm, ''), plain);
		const paused = await call('machine', 'pause', 'node-1');
		t.is(paused.code, 0, outcomeText(paused));
		t.deepEqual([paused.stdout, paused.stderr], ['', 'node-1: paused\n']);
		t.deepEqual(parts.machines.get('node-1')!.commands, [['stop', undefined]]);
		const skewed = await call('machine', 'skew-clock', 'mine', 'node-2', '--by=-1h');
		t.is(skewed.stderr, 'node-2: ready, clock -3600s\n', outcomeText(skewed));
		t.regex((await call('machine', 'list', 'mine')).stdout, /^node-1 +paused *\nnode-2 +ready +clock -3600s$/m);
		t.regex((await call('status')).stdout, /^node-1 +node +paused +\d+/m);
		t.regex((await call('list')).stdout, /node-1 \(paused\) node-2 \(clock -3600s\)/);
		t.deepEqual((JSON.parse((await call('status', '-o', 'json')).stdout) as {machines: Array<{faults: string[]}>}).machines.map(({faults}) => faults), [['paused'], ['clock -3600s']]);
		const asked = await call('exec', 'mine', 'node-1', '--', 'true');
		t.is(asked.code, 2);
		t.regex(asked.stderr, /The machine node-1 is paused[^]*vmlab machine resume/);
		const recovered = await call('machine', 'recover');
		t.is(recovered.stderr, 'node-1: ready\nnode-2: ready\n', outcomeText(recovered));
		const killed = await call('machine', 'kill', 'mine', 'node-2', '-o', 'json');
		t.like(JSON.parse(killed.stdout) as MachineReport[], [{machine: 'node-2', state: 'off'}]);
		t.is((await call('machine', 'start', 'mine', 'node-2')).stderr, 'node-2: ready\n');
	});
});

test.serial('what makes no sense is refused, with the form that does', async (t) => {
	await withLab(async (call) => {
		for (const [words, code, expected] of [
			[['pause', 'mine'], 2, /needs a machine/],
			[['pause'], 2, /needs a machine/],
			[['pause', 'node-1', 'node-2'], 2, /is for one machine/],
			[['pause', 'mine', 'node-3'], 3, /no machine `node-3`[^]*Did you mean/],
			[['pause', 'mien', 'node-1'], 2, /No lab `mien` runs/],
			[['pause', 'node-9'], 3, /no machine `node-9`[^]*Did you mean/],
			[['skew-clock', 'mine', 'node-1'], 2, /By how much/],
			[['skew-clock', 'mine', 'node-1', '--by', '90s'], 3, /not a skew of a clock/],
			[['take-memory', 'mine', 'node-1'], 2, /How much memory/],
			[['pause', 'mine', 'node-1', '--leave', '1MiB'], 2, /has no option --leave[^]*fill-disk/],
			[['list', '--by=+1s'], 2, /has no option --by/],
		] as Array<[string[], number, RegExp]>) {
			const outcome = await call('machine', ...words);
			t.is(outcome.code, code, outcomeText(outcome));
			t.regex(outcome.stderr, expected);
		}
	});
});

test.serial('words of it are completed', async (t) => {
	await withLab(async () => {
		const complete = async (...words: string[]) => (await vmlab(['--get-yargs-completions', 'vmlab', 'machine', ...words], {env: {VMLAB_STATE_DIR: process.env['VMLAB_STATE_DIR']!}})).stdout.trim().split('\n');
		t.true((await complete('')).includes('hang-disk'));
		t.deepEqual(await complete('pause', ''), ['mine', 'node-1', 'node-2']);
		t.deepEqual(await complete('pause', 'mine', ''), ['node-1', 'node-2']);
	});
});
