import test from 'ava';
import {runScenario} from '../../lab/scenario/runner.ts';
import type {LabMachine, LabTopology} from '../../lab/spec/topology.ts';
import {clusterNetwork} from '../../scripts/steps/cluster-network.ts';
import {createFakeLab, recordEvents, topology as small, type Answer} from '../scenario/fake-lab.ts';
import {createFakeKubectl} from '../scenario/fake-kubectl.ts';

const topology: LabTopology = {
	...small,
	machines: small.machines.map((machine): LabMachine => (machine.role === 'node' ? {...machine, pods: {ipv4: `11.0.${machine.index}.0/24`}} : machine)),
	external: {ipv4: '10.0.0.0/24'},
	options: {kubernetes: {proxyMode: 'nftables'}},
	images: ['registry.k8s.io/e2e-test-images/agnhost:2.63.0'],
};

function podItem(name: string, app: string, node: number, address: string): object {
	return {
		metadata: {name, labels: {app}}, spec: {nodeName: `node-${node}`},
		status: {phase: 'Running', podIPs: [{ip: address}], conditions: [{type: 'Ready', status: 'True'}]},
	};
}

function serviceItem(name: string, clusterIP: string, external?: string): object {
	return {
		metadata: {name}, spec: {clusterIPs: [clusterIP], ports: [{port: 5001, ...(external === undefined ? {} : {nodePort: 30000})}]},
		status: {loadBalancer: external === undefined ? {} : {ingress: [{ip: external}]}},
	};
}

const hosts: Record<string, string> = {'11.0.1.11': 'hello-a', '11.0.1.12': 'hello-b', '11.0.2.13': 'hello-c', '11.0.2.14': 'hello-d', '12.0.0.60': 'single-e'};
const spread = ['hello-a', 'hello-b', 'hello-c', 'hello-d'];

const cluster = {
	nodes: {items: [1, 2].map((index) => ({metadata: {name: `node-${index}`}, status: {conditions: [{type: 'Ready', status: 'True'}]}}))},
	pods: {items: [...spread.map((name, index) => podItem(name, 'hello', index < 2 ? 1 : 2, Object.keys(hosts)[index]!)), podItem('single-e', 'single', 1, '11.0.1.15')]},
	services: {items: [serviceItem('hello', '12.0.0.50', '10.0.0.2'), serviceItem('local', '12.0.0.51', '10.0.0.3'), serviceItem('single', '12.0.0.60')]},
};

/** Machines of a cluster whose network works, each answer as the real programs give it. */
function working(): Answer {
	let blocked = false;
	let firstRequest = true;
	return ({machine, command}) => {
		const policy = /-P FORWARD (\w+)/.exec(command)?.[1];
		if (policy !== undefined) {
			blocked = policy === 'DROP';
			return {};
		}

		if (command.includes('proxyMode')) {
			return {stdout: 'nftables'};
		}

		if (command.startsWith('nft list table')) {
			return {stdout: 'ip daddr . meta l4proto . th dport vmap {12.0.0.50 . tcp . 5001 : goto service-hello}'};
		}

		if (/^(ipvsadm|iptables-save|ip -oneline address)/.test(command)) {
			return {};
		}

		if (command.startsWith('ss ')) {
			return {stdout: 'LISTEN 0 4096 *:10250 *:*'};
		}

		if (command.includes('/dial?')) {
			const dials = [...command.matchAll(/\/dial\?host=([^&]*)/g)].map(([, host = '']) => host);
			return {stdout: `${dials.map((host, index) => `${index} ${blocked && host.startsWith('11.0.2') && machine === 'node-1' ? '{"errors":["i/o timeout"]}' : `{"responses":["${hosts[host] ?? 'hello-a'}"]}`}`).join('\n')}\n`};
		}

		if (command.includes('serviceaccount')) {
			const token = command.includes('[ yes = no ]');
			return {stdout: !token ? '{}\n403' : command.includes('secrets\n') || command.includes('/kube-system/secrets') ? 'User "system:serviceaccount:default:default" cannot list\n403' : '{}\n200'};
		}

		if (command.includes('--uts')) {
			return {stdout: '4711'};
		}

		if (command.includes('dig +short')) {
			return {stdout: '12.0.0.50'};
		}

		if (command.includes('dig') && command.includes('nobody')) {
			return {stdout: ';; ->>HEADER<<- opcode: QUERY, status: NXDOMAIN, id: 4711\n'};
		}

		if (command.startsWith('getent')) {
			return {stdout: '12.0.0.50 STREAM hello.default.svc.cluster.local\n12.0.0.50 DGRAM\n'};
		}

		const [, path = '', last] = /\/(hostname|clientip)\?\[1-(\d+)\]/.exec(command) ?? [];
		if (last !== undefined) {
			const answer = (index: number): string => (path === 'hostname' ? spread[index % 4]! : command.includes('10.0.0.3') ? '192.168.2.221:40000' : '192.168.1.1:1');
			return {stdout: Array.from({length: Number(last)}, (_, index) => `${answer(index)} 200 1\n`).join('')};
		}

		if (command.includes('10.0.0.2:5001/hostname') && firstRequest) {
			firstRequest = false;
			return {exitCode: 7, stderr: 'curl: (7) No route to host\n'};
		}

		return {stdout: 'hello-b'};
	};
}

async function play(t: Parameters<typeof createFakeKubectl>[0], answer: Answer) {
	const {events, sink, lines} = recordEvents();
	const kubectl = await createFakeKubectl(t, cluster);
	const lab = {...createFakeLab(answer), ...kubectl, plan: {topology}};
	const running = runScenario({name: 'ipv4', lab, events: sink, signal: new AbortController().signal, scenario: {summary: '', lab: {machines: {}, overlays: []}, budget: '60s', async steps(context) {
		await clusterNetwork(context);
	}}});
	let error: Error | undefined;
	await running.catch((thrown: Error) => {
		error = thrown;
	});
	return {error, events, lines: lines(), kubectl};
}

test('The story of a cluster\'s network passes where the network works', async (t) => {
	const {error, events, lines, kubectl} = await play(t, working());
	t.is(error, undefined);
	t.true(lines.filter((line) => line.startsWith('step passed')).length >= 17);
	t.true(events.some((event) => event.type === 'note' && event.text === 'The pair that it named: pod hello-a on node-1 -> pod hello-c on node-2'));
	t.regex(await kubectl.applied(), /loadBalancerIP: 10\.0\.0\.2/);
	t.regex(await kubectl.applied(), /externalTrafficPolicy: Local/);
	// Each call costs a second where machines are emulated.
	t.true((await kubectl.calls()).length <= 5);
});

test('Forwarding that cannot be switched off is no proof', async (t) => {
	const answer = working();
	const {error} = await play(t, (call, signal) => (call.command.includes('-P FORWARD') ? {} : answer(call, signal)));
	t.regex(error?.message ?? '', /^control: while node-2 forwards nothing.*nothing failed/);
});

/** The request that nobody is to answer. */
const beforeIt = /curl -sS --max-time \d+ -w [^]*hostname$/;

test('A Service that is answered before it exists is no proof', async (t) => {
	const answer = working();
	const {error} = await play(t, (call, signal) => (beforeIt.test(call.command) ? {stdout: 'hello-a\n0.012'} : answer(call, signal)));
	t.regex(error?.message ?? '', /^control: before the Service exists/);
});

test('A connection that is taken without a word before the Service exists is no silence', async (t) => {
	const answer = working();
	const {error} = await play(t, (call, signal) => (beforeIt.test(call.command) ? {exitCode: 28, stdout: '\n0.012', stderr: 'curl: (28) Operation timed out'} : answer(call, signal)));
	t.regex(error?.message ?? '', /^control: before the Service exists.*somebody took a connection from tester-1/);
});

test('A token that is not needed is no proof', async (t) => {
	const answer = working();
	const {error} = await play(t, (call, signal) => (call.command.includes('[ no = no ]') ? {stdout: '{}\n200'} : answer(call, signal)));
	t.regex(error?.message ?? '', /^control: without the token/);
});

test('A pod whose DNS has another address fails its step', async (t) => {
	const works = working();
	const {error} = await play(t, (call, signal) => (call.command.includes('dig +short') && call.machine === 'node-2' ? {stdout: '12.0.0.51'} : works(call, signal)));
	t.regex(error?.message ?? '', /^cluster DNS answers .*: pod hello-c on node-2 gets other addresses \(ipv4\): `12\.0\.0\.51`$/);
});

test('A client address that a policy does not promise fails its step', async (t) => {
	const answer = working();
	const {error} = await play(t, (call, signal) => (call.command.includes('10.0.0.3') ? {stdout: '192.168.1.1:7 200 1\n'.repeat(20)} : answer(call, signal)));
	t.regex(error?.message ?? '', /^with externalTrafficPolicy Local .*: pods saw 192\.168\.1\.1; tester-1 is 192\.168\.2\.221$/);
});
