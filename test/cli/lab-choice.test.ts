import {mkdir} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {parseRemote, spelledOut} from '../../lab/cli/lab-choice.ts';
import {formatTable} from '../../lab/cli/output.ts';
import {identify} from '../../lab/host/process.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {type MachineRecord, newRecord, writeRecord} from '../../lab/runtime/lab-record.ts';
import {vmlab} from '../rig/command.ts';

test('a place on a machine is machine:path, or lab/machine:path', (t) => {
	t.deepEqual(parseRemote('node-1:/etc/hosts'), {machine: 'node-1', path: '/etc/hosts'});
	t.deepEqual(parseRemote('ipv4/node-1:/etc/hosts'), {lab: 'ipv4', machine: 'node-1', path: '/etc/hosts'});
	t.deepEqual(parseRemote('node-1:'), {machine: 'node-1', path: '.'});
	t.deepEqual(parseRemote('node-1:~/a'), {machine: 'node-1', path: 'a'});
	t.deepEqual(parseRemote('node-1:~'), {machine: 'node-1', path: '.'});
	t.deepEqual(parseRemote('node-1:~a'), {machine: 'node-1', path: '~a'});
	t.deepEqual(parseRemote('node-1:a:b'), {machine: 'node-1', path: 'a:b'});
});

test('everything else is a file of this computer', (t) => {
	for (const file of ['file', './node-1:x', '/tmp/a:b', 'some/folder/a:b', '../node-1:x']) {
		t.is(parseRemote(file), undefined, file);
	}
});

test('a machine of a lab is two words, or one with a slash', (t) => {
	t.deepEqual(spelledOut(['mine/node-1', 'kill']), ['mine', 'node-1', 'kill']);
	for (const words of [['mine', 'node-1'], ['node-1'], [], ['/node-1'], ['mine/'], ['a/b/c'], ['node-1', 'a/b']]) {
		t.deepEqual(spelledOut(words), words);
	}
});

test('columns are aligned, and lines have no blanks at their end', (t) => {
	t.is(formatTable({columns: ['A', 'LONGER'], rows: [['value', ''], ['x', 'y']]}), 'A      LONGER\nvalue\nx      y\n');
	t.is(formatTable({columns: ['A'], rows: []}), '');
});

const withoutLabs = test.macro<[words: string[], code: number, expected: RegExp]>({
	async exec(t, words, code, expected) {
		await withTemporaryFolder(async (state) => {
			const outcome = await vmlab(words, {env: {VMLAB_STATE_DIR: state}});
			t.is(outcome.code, code, outcome.stderr);
			t.regex(outcome.stderr, expected);
		});
	},
	title: (_, words = []) => `no lab runs: vmlab ${words.join(' ')}`,
});

test(withoutLabs, ['down'], 0, /No lab runs/);
test(withoutLabs, ['down', 'some-lab'], 2, /No lab `some-lab` runs[^]*vmlab up/);
test(withoutLabs, ['down', '--all'], 0, /No lab runs/);
test(withoutLabs, ['status'], 2, /No lab runs[^]*vmlab up/);
test(withoutLabs, ['status', 'some-lab'], 2, /No lab `some-lab` runs/);
test(withoutLabs, ['ssh', 'node-1'], 2, /No lab runs/);
test(withoutLabs, ['exec', 'node-1', '--', 'true'], 2, /No lab runs/);
test(withoutLabs, ['exec', 'node-1'], 2, /No command is given[^]*after `--`/);
test(withoutLabs, ['exec', 'a', 'b', 'c', '--', 'true'], 2, /One machine/);
test(withoutLabs, ['cp', 'a', 'b'], 2, /Exactly one/);
test(withoutLabs, ['cp', 'node-1:a', 'node-2:b'], 2, /Exactly one/);
test(withoutLabs, ['logs', 'node-1'], 2, /No lab runs/);
test(withoutLabs, ['console', 'some-lab', 'node-1'], 2, /No lab `some-lab` runs/);
test(withoutLabs, ['kubeconfig'], 2, /No lab runs/);
test(withoutLabs, ['kubectl'], 2, /Nothing is asked of kubectl/);
test(withoutLabs, ['kubectl', '--', 'get', 'nodes'], 2, /No lab runs/);

test('no lab runs: the list is empty', async (t) => {
	await withTemporaryFolder(async (state) => {
		t.is((await vmlab(['list', '-o', 'json'], {env: {VMLAB_STATE_DIR: state}})).stdout, '[]\n');
		t.is((await vmlab(['list'], {env: {VMLAB_STATE_DIR: state}})).stdout, '');
	});
});

test('a lab where a machine is to be named, and a machine where a lab is, are told as what they are', async (t) => {
	await withTemporaryFolder(async (state) => {
		const env = {VMLAB_STATE_DIR: state};
		const supervisor = await identify(process.pid, '');
		const keep = async (name: string): Promise<void> => {
			const machine = {name: 'node-1', role: 'node', state: 'booting', index: 0} as unknown as MachineRecord;
			await mkdir(path.join(state, 'labs', name), {recursive: true});
			await writeRecord(path.join(state, 'labs', name), {...newRecord({name, supervisor, labKey: ''}), state: 'booting', machines: [machine]});
		};

		await keep('mine');
		const lab = await vmlab(['ssh', 'mine'], {env});
		t.is(lab.code, 2);
		t.regex(lab.stderr, /`mine` is a lab, and one of its machines is to be named too[^]*It has node-1\./);
		t.regex((await vmlab(['cp', 'mine:node-1:/etc/hosts', '.'], {env})).stderr, /`mine` is a lab, and one of its machines is to be named too/);
		t.regex((await vmlab(['ssh', 'mine/node-2'], {env})).stderr, /no machine `node-2`/);
		const machine = await vmlab(['ssh', 'node-1', 'ls'], {env});
		t.is(machine.code, 2);
		t.regex(machine.stderr, /`node-1` is a machine of the lab mine, and no lab/);
		// With two labs that have one it is of neither.
		await keep('other');
		t.notRegex((await vmlab(['ssh', 'node-1', 'ls'], {env})).stderr, /is a machine of the lab/);
	});
});

test('a lab that only makes a stage is not chosen unless it is named, and is listed as what it is', async (t) => {
	await withTemporaryFolder(async (state) => {
		const env = {VMLAB_STATE_DIR: state};
		const supervisor = await identify(process.pid, '');
		const keep = async (name: string, makes?: string): Promise<void> => {
			await mkdir(path.join(state, 'labs', name), {recursive: true});
			await writeRecord(path.join(state, 'labs', name), {...newRecord({name, supervisor, labKey: '', makes}), state: 'booting'});
		};

		await keep('ready-0123456789ab-1', 'ready lab');
		t.regex((await vmlab(['status'], {env})).stderr, /No lab runs/);
		t.regex((await vmlab(['down'], {env})).stderr, /^No lab runs/);
		t.regex((await vmlab(['list'], {env})).stdout, /ready-0123456789ab-1 .*booting, to make the ready lab/);
		t.is((await vmlab(['status', 'ready-0123456789ab-1'], {env})).code, 0);
		await keep('mine');
		const chosen = await vmlab(['status', '-o', 'json'], {env});
		t.is(chosen.code, 0, chosen.stderr);
		t.is((JSON.parse(chosen.stdout) as {name: string}).name, 'mine');
		await keep('other');
		t.regex((await vmlab(['status'], {env})).stderr, /Several labs run, and none is named[^]*Name one of mine and other\./);
		const wrong = await vmlab(['down', 'mien'], {env});
		t.is(wrong.code, 2);
		t.regex(wrong.stderr, /No lab `mien` runs[^]*Did you mean `mine`\?/);
	});
});
