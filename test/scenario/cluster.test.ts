import {mkdtemp, readdir, readFile, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import {parseAllDocuments} from 'yaml';
import {timeLimit} from '../../lab/host/wait.ts';
import {collectEvidence} from '../../lab/scenario/cluster-evidence.ts';
import {manifestText, openCluster} from '../../lab/scenario/cluster-handle.ts';
import {withCommandSignal} from '../../lab/scenario/command-scope.ts';
import {createFakeLab} from './fake-lab.ts';
import {createFakeKubectl} from './fake-kubectl.ts';

const {signal} = new AbortController();

test('kubectl is the one that was built, with the lab\'s kubeconfig, and each value one word', async (t) => {
	const kubectl = await createFakeKubectl(t);
	const cluster = openCluster({...createFakeLab(), ...kubectl}, signal);
	t.is(cluster.kubeconfig, kubectl.kubeconfig);
	t.is((await cluster.kubectl`echo ${'a b'} ${['c', 'd']} 'e f'`).stdout, '[a b][c][d][e f]');
});

test('Objects are applied as YAML documents, text as it is', async (t) => {
	const kubectl = await createFakeKubectl(t);
	const cluster = openCluster({...createFakeLab(), ...kubectl}, signal);
	const labels = {app: 'x'};
	await cluster.apply([{kind: 'A', labels, again: labels}, {kind: 'B'}]);
	t.deepEqual(parseAllDocuments(await kubectl.applied()).map((document) => (document as {toJS(): unknown}).toJS()), [{kind: 'A', labels, again: labels}, {kind: 'B'}]);
	t.false((await kubectl.applied()).includes('&'));
	// kubectl reads YAML 1.1, where these are no text unless they are quoted.
	t.is(manifestText({enabled: 'yes', other: 'n', plain: 'x'}), 'enabled: "yes"\nother: "n"\nplain: x\n');
	t.is(manifestText('kind: C'), 'kind: C');
});

test('What kubectl gets is parsed', async (t) => {
	const kubectl = await createFakeKubectl(t, {nodes: {items: [1, 2]}});
	const cluster = openCluster({...createFakeLab(), ...kubectl}, signal);
	t.deepEqual(await cluster.get('nodes', '-l', 'a=b'), {items: [1, 2]});
	t.deepEqual(await kubectl.calls(), ['get nodes -l a=b -o json']);
});

test('A kubectl that fails is a claim that failed', async (t) => {
	const cluster = openCluster({...createFakeLab(), ...await createFakeKubectl(t)}, signal);
	await t.throwsAsync(cluster.kubectl`fail`, {message: '`kubectl fail` on the host ended with exit code 1: error: it did not work'});
});

test('A kubectl that hangs ends with the wait around it', async (t) => {
	const cluster = openCluster({...createFakeLab(), ...await createFakeKubectl(t)}, signal);
	await t.throwsAsync(withCommandSignal(timeLimit(300), async () => cluster.kubectl`hang`), {message: /did not end before the wait around it did/});
});

test('The cluster\'s state is collected as files, each with what could be had', async (t) => {
	const folder = await mkdtemp(path.join(tmpdir(), 'vmlab-test-'));
	t.teardown(async () => rm(folder, {recursive: true}));
	const kubectl = await createFakeKubectl(t, {pods: {}});
	const files = await collectEvidence({...createFakeLab(), ...kubectl}, folder, signal);
	t.deepEqual((await readdir(path.join(folder, 'cluster'))).sort(), ['all.txt', 'events.txt', 'nodes.txt', 'pods.txt']);
	t.is(files, 4);
	t.true((await kubectl.calls()).every((call) => call.endsWith('--request-timeout=30s')));
	const aborted = path.join(folder, 'late');
	await collectEvidence({...createFakeLab(), ...kubectl}, aborted, AbortSignal.abort(new Error('no time left')));
	t.regex(await readFile(path.join(aborted, 'cluster/nodes.txt'), 'utf8'), /^could not be had: /);
});
