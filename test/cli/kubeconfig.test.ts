import {chmod, lstat, readdir, readFile, stat, symlink, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {parse} from 'yaml';
import {changeKubeconfig, mergeKubeconfig, ownKubeconfig, unmergeKubeconfig} from '../../lab/cli/kubeconfig.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {outcomeText, vmlab} from '../rig/command.ts';

const lab = `apiVersion: v1
kind: Config
clusters: [{name: ipv4, cluster: {server: 'https://127.0.0.1:18080'}}]
users: [{name: admin, user: {client-certificate-data: AAAA}}]
contexts: [{name: ipv4, context: {cluster: ipv4, user: admin}}]
current-context: ipv4
`;

interface Merged {
	'current-context': string;
	clusters: Array<{name: string; cluster: {server: string}}>;
	users: Array<{name: string}>;
	contexts: Array<{name: string; context: {cluster: string; user: string}}>;
}

test('into nothing: the lab is the only and the current context', (t) => {
	const merged = parse(mergeKubeconfig('', lab, 'one')) as Merged;
	t.is(merged['current-context'], 'vmlab-one');
	t.deepEqual(merged.contexts, [{name: 'vmlab-one', context: {cluster: 'vmlab-one', user: 'vmlab-one'}}]);
	t.is(merged.clusters[0]?.cluster.server, 'https://127.0.0.1:18080');
	t.like(merged, {apiVersion: 'v1', kind: 'Config'});
});

test('what the user had stays, and the lab of before is replaced', (t) => {
	const mine = `apiVersion: v1
kind: Config
preferences: {colors: true}
clusters: [{name: work, cluster: {server: 'https://work.example'}}, {name: vmlab-one, cluster: {server: 'https://127.0.0.1:1'}}]
users: [{name: work, user: {}}]
contexts: [{name: work, context: {cluster: work, user: work}}]
current-context: work
`;
	const merged = parse(mergeKubeconfig(mine, lab, 'one')) as Merged;
	t.deepEqual(merged.clusters.map(({name, cluster}) => [name, cluster.server]), [['work', 'https://work.example'], ['vmlab-one', 'https://127.0.0.1:18080']]);
	t.deepEqual(merged.users.map(({name}) => name), ['work', 'vmlab-one']);
	t.like(merged, {preferences: {colors: true}, 'current-context': 'vmlab-one'});
});

test('two labs have entries of their own', (t) => {
	const merged = parse(mergeKubeconfig(mergeKubeconfig('', lab, 'one'), lab, 'two')) as Merged;
	t.deepEqual(merged.clusters.map(({name}) => name), ['vmlab-one', 'vmlab-two']);
});

test('a lab that is taken out leaves what the user had', (t) => {
	const mine = `apiVersion: v1
kind: Config
clusters: [{name: work, cluster: {server: 'https://work.example'}}]
users: [{name: work, user: {}}]
contexts: [{name: work, context: {cluster: work, user: work}}]
current-context: work
`;
	const out = parse(unmergeKubeconfig(mergeKubeconfig(mine, lab, 'one'), 'one')) as Merged;
	t.deepEqual(out, parse(mine) as Merged, 'and what was current is again');
	t.is((parse(unmergeKubeconfig(mergeKubeconfig(mine, lab, 'one'), 'two')) as Merged)['current-context'], 'vmlab-one', 'another lab is left alone');
});

const currentOf = (text: string): string => (parse(text) as Merged)['current-context'];

test('the context that was current before a lab\'s is again, however often and in whatever order labs come and go', (t) => {
	const mine = 'contexts: [{name: prod, context: {cluster: c, user: u}}, {name: test, context: {cluster: c, user: u}}]\ncurrent-context: prod\n';
	const one = mergeKubeconfig(mine, lab, 'one');
	t.deepEqual((parse(one) as {contexts: unknown[]}).contexts.at(-1), {
		name: 'vmlab-one', context: {cluster: 'vmlab-one', user: 'vmlab-one', extensions: [{name: 'vmlab', extension: {formerContext: 'prod'}}]},
	});
	t.is(currentOf(unmergeKubeconfig(mergeKubeconfig(one, lab, 'one'), 'one')), 'prod', 'merged twice');
	const both = mergeKubeconfig(one, lab, 'two');
	t.is(currentOf(unmergeKubeconfig(both, 'two')), 'vmlab-one');
	t.is(currentOf(unmergeKubeconfig(unmergeKubeconfig(both, 'two'), 'one')), 'prod');
	t.is(currentOf(unmergeKubeconfig(unmergeKubeconfig(both, 'one'), 'two')), 'prod', 'the first goes first');
	t.is(currentOf(unmergeKubeconfig(one.replace('current-context: vmlab-one', 'current-context: test'), 'one')), 'test', 'another one was chosen since');
	t.is(currentOf(unmergeKubeconfig(one.replace('- name: prod', '- name: renamed'), 'one')), '', 'it is gone');
	t.is(currentOf(unmergeKubeconfig(mergeKubeconfig('', lab, 'one'), 'one')), '', 'there was none');
});

test('the own kubeconfig is the first that KUBECONFIG names', (t) => {
	t.is(ownKubeconfig({KUBECONFIG: ':/a:/b', HOME: '/home/someone'}), '/a');
	t.is(ownKubeconfig({HOME: '/home/someone'}), '/home/someone/.kube/config');
	t.is(ownKubeconfig({KUBECONFIG: '', HOME: '/home/someone'}), '/home/someone/.kube/config');
});

const modeOf = async (file: string): Promise<number> => (await stat(file)).mode & 0o777;

test('a change goes to the file that a link leads to, which keeps its permissions', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const [real, link] = [path.join(folder, 'real'), path.join(folder, 'link')];
		await writeFile(real, 'kind: Config\n');
		await chmod(real, 0o664);
		await symlink('real', link);
		await changeKubeconfig(link, (mine) => mergeKubeconfig(mine, lab, 'one'));
		t.true((await lstat(link)).isSymbolicLink());
		t.is(await modeOf(real), 0o664);
		t.is((parse(await readFile(real, 'utf8')) as Merged)['current-context'], 'vmlab-one');
		t.deepEqual((await readdir(folder)).sort(), ['link', 'real'], 'nothing is left beside it');
	});
});

test('a new kubeconfig is for nobody else, and so is its folder', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const file = path.join(folder, '.kube/config');
		await changeKubeconfig(file, (mine) => mergeKubeconfig(mine, lab, 'one'));
		t.is(await modeOf(file), 0o600);
		t.is(await modeOf(path.dirname(file)), 0o700);
	});
});

test('what is no kubeconfig, or is being changed by kubectl, stays as it is', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const file = path.join(folder, 'config');
		await writeFile(file, 'a: [\n');
		await t.throwsAsync(changeKubeconfig(file, (mine) => mergeKubeconfig(mine, lab, 'one')), {code: 'usage', message: /is no kubeconfig/});
		t.is(await readFile(file, 'utf8'), 'a: [\n');
		t.deepEqual(await readdir(folder), ['config']);
		await writeFile(`${file}.lock`, '');
		await t.throwsAsync(changeKubeconfig(file, () => ''), {code: 'locked'});
		t.deepEqual((await readdir(folder)).sort(), ['config', 'config.lock'], 'the lock is somebody else\'s');
	});
});

test('a lab that does not run any more can be taken out by the command line', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const file = path.join(folder, 'config');
		await writeFile(file, mergeKubeconfig('', lab, 'gone'));
		const outcome = await vmlab(['kubeconfig', 'gone', '--unmerge'], {env: {KUBECONFIG: `${file}:/other`, VMLAB_STATE_DIR: path.join(folder, 'state')}});
		t.is(outcome.code, 0, outcomeText(outcome));
		t.deepEqual((parse(await readFile(file, 'utf8')) as Merged).contexts, []);
		await vmlab(['kubeconfig', 'gone', '--unmerge'], {env: {KUBECONFIG: path.join(folder, 'none'), VMLAB_STATE_DIR: path.join(folder, 'state')}});
		t.deepEqual(await readdir(folder), ['config'], 'none is made for that');
	});
});
