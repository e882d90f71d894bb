import test from 'ava';
import {parse} from 'yaml';
import {mergeKubeconfig} from '../../lab/cli/kubeconfig.ts';

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
