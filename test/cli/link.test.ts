/** `vmlab link` against a lab of this process: a real fabric, and machines that only say that they are there. */
import path from 'node:path';
import test from 'ava';
import {startFabric} from '../../lab/fabric/fabric.ts';
import type {LinkReport} from '../../lab/fabric/link.ts';
import {bootLab} from '../../lab/runtime/lab.ts';
import type {LabStatus} from '../../lab/runtime/labs.ts';
import {outcomeText, vmlab} from '../rig/command.ts';
import {createStandIns, type StandIns, standInPlan, standInStages, withStateFolder} from '../runtime/stand-ins.ts';

type Call = (...words: string[]) => ReturnType<typeof vmlab>;

async function withLab(use: (link: Call, parts: StandIns, call: Call) => Promise<void>): Promise<void> {
	await withStateFolder(async (folder) => {
		const parts = {...createStandIns(), startFabric};
		const lab = await bootLab({name: 'mine', plan: standInPlan(['node-1', 'node-2']), made: await standInStages(folder), events() {}, signal: new AbortController().signal}, parts);
		try {
			const call: Call = async (...words) => vmlab(words, {env: {VMLAB_STATE_DIR: path.join(folder, 'state'), VMLAB_CACHE_DIR: path.join(folder, 'cache')}});
			await use(async (...words) => call('link', ...words), parts, call);
		} finally {
			await lab.down();
		}
	});
}

test.serial('links are listed, impaired, and cleared', async (t) => {
	await withLab(async (link, parts, call) => {
		t.false((await call('status')).stdout.includes('LINK'));
		t.is((await link('list')).stdout.replaceAll(/ +$/gm, ''), [
			'LINK            CARRIER  DIRECTION  FRAMES  WAITING  DROPPED  IMPAIRMENTS',
			'node-1@cluster  up       from       0       0',
			'node-1@cluster  up       to         0       0',
			'node-2@cluster  up       from       0       0',
			'node-2@cluster  up       to         0       0',
			'',
		].join('\n'));
		const set = await link('set', 'mine', 'node-1', '--to', '--loss', '5%', '--delay', '20ms');
		t.is(set.code, 0, outcomeText(set));
		t.is(set.stdout, '');
		t.regex(set.stderr, /^node-1@cluster: to the machine: loss 5%, delay 20ms\n$/);
		const both = JSON.parse((await link('set', 'mine', 'node-1', 'cluster', '--cut', '--protocol', 'tcp', '--port', '443', '-o', 'json')).stdout) as LinkReport[];
		t.like(both, [{
			link: 'node-1@cluster', from: {impairments: [{match: {protocol: 'tcp', port: 443}, cut: true}]}, to: {impairments: [{cut: true}, {loss: 0.05, delay: 20, frames: 0}]},
		}]);
		t.is(both.length, 1);
		t.regex((await link('list', 'mine', 'node-1')).stdout, /^node-1@cluster +up +to +0 +0 +tcp port 443: cut; loss 5%, delay 20ms$/m);
		t.is((await link('set', 'node-2@cluster', '--carrier', 'down')).code, 0, 'of the only lab, and as links are listed');
		t.deepEqual(parts.machines.get('node-2')!.commands, [['set_link', {name: 'nic-link0', up: false}]]);
		t.regex((await link('list', '-o', 'yaml')).stdout, /carrier: down/);
		t.regex((await call('status')).stdout, /\nLINK +FAULTS\nnode-1@cluster +tcp port 443: cut; to the machine: loss 5%, delay 20ms\nnode-2@cluster +without carrier\n$/);
		t.deepEqual((JSON.parse((await call('status', '-o', 'json')).stdout) as LabStatus).links[1], {name: 'node-2@cluster', faults: ['without carrier']});
		const cleared = await link('clear', 'mine');
		t.is(cleared.stderr, 'node-1@cluster: nothing is wrong with it\nnode-2@cluster: nothing is wrong with it\n');
		t.is(parts.machines.get('node-2')!.commands.length, 2);
		t.true((JSON.parse((await link('list', '-o', 'json')).stdout) as LinkReport[]).every(({carrier, from, to}) => carrier === 'up' && from.impairments.length + to.impairments.length === 0));
	});
});

test.serial('what is not there is told, with what is', async (t) => {
	await withLab(async (link) => {
		for (const [words, code, expected] of [
			[['set', 'mine', 'node-3', '--cut'], 3, /no machine `node-3`[^]*Did you mean `node-1`/],
			[['set', 'mine', 'node-1', 'clutser', '--cut'], 3, /no link `node-1@clutser`[^]*Did you mean `node-1@cluster`/],
			[['set', 'mien', 'node-1', '--cut'], 2, /mien/],
			[['set', 'gone/node-3', '--cut'], 2, /`gone`/],
			[['list', 'gone/node-3'], 2, /`gone`/],
			[['clear', 'mine', 'node-3'], 3, /no machine `node-3`/],
			[['set', 'mine', '--cut'], 2, /needs a machine/],
			[['set', 'node-1@clutser', '--cut'], 3, /no link `node-1@clutser`/],
			[['set', 'mine', 'node-1', 'cluster', 'more', '--cut'], 2, /`more` is too much/],
			[['set', 'mine', 'node-1'], 2, /Nothing is to be set/],
			[['set', 'mine', 'node-1', '--loss', '120%'], 2, /--loss must be at most 100%/],
			[['list', 'mine', '--loss', '5%'], 2, /`vmlab link list` sets nothing/],
		] as Array<[string[], number, RegExp]>) {
			const outcome = await link(...words);
			t.is(outcome.code, code, outcomeText(outcome));
			t.regex(outcome.stderr, expected);
		}
	});
});

test.serial('words of it are completed', async (t) => {
	await withLab(async () => {
		const complete = async (...words: string[]) => (await vmlab(['--get-yargs-completions', 'vmlab', 'link', ...words], {env: {VMLAB_STATE_DIR: process.env['VMLAB_STATE_DIR']!}})).stdout.trim().split('\n');
		t.deepEqual(await complete(''), ['list', 'set', 'clear']);
		t.deepEqual(await complete('set', ''), ['mine', 'node-1', 'node-2']);
		t.deepEqual(await complete('set', 'mine', ''), ['node-1', 'node-2']);
		t.deepEqual(await complete('set', 'mine', 'node-1', ''), ['cluster']);
		t.deepEqual(await complete('set', 'node-1', ''), ['cluster']);
		t.true((await complete('set', '--')).includes('--loss'));
	});
});
