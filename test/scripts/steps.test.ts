import test from 'ava';
import {openMachines} from '../../lab/scenario/machine-handle.ts';
import type {StepContext} from '../../lab/scenario/scenario.ts';
import {tryConnection} from '../../scripts/steps/connection.ts';
import {claimAnswered, dialAll} from '../../scripts/steps/dial.ts';
import {familiesAreInOrder} from '../../scripts/steps/family-order.ts';
import {changeProxy} from '../../scripts/steps/kube-proxy.ts';
import {acrossNodes, onOneNode, podsDoNotReachEachOther, podsReachEachOther, withoutForwarding} from '../../scripts/steps/pod-network.ts';
import {connectionsSpread, nodeAddresses, nothingAnswers, seenClients, urlOf} from '../../scripts/steps/services.ts';
import {deployment} from '../../scripts/steps/test-server.ts';
import {createFakeLab, topology, type Answer} from '../scenario/fake-lab.ts';

const signal = new AbortController().signal;

function contextOf(answer: Answer): StepContext & {calls: string[]} {
	const lab = createFakeLab(answer);
	const machine = openMachines(lab, signal).handle;
	return {
		node: machine, tester: machine, lab: topology, signal,
		get calls() {
			return lab.calls.map((call) => `${call.machine}: ${call.command}`);
		},
	} as unknown as StepContext & {calls: string[]};
}

function pod(name: string, node: string, address: string) {
	return {name, node, addresses: {ipv4: address, ipv6: '1100::1'}, ready: true, phase: 'Running'};
}

const pods = [pod('a', 'node-1', '11.0.1.2'), pod('b', 'node-2', '11.0.2.2')];

test('A pair of pods of which one does not reach the other is named', async (t) => {
	const context = contextOf(({machine}) => ({stdout: machine === 'node-1' ? '0 {"errors":["i/o timeout"]}\n' : '0 {"responses":["a"]}\n'}));
	const error = await t.throwsAsync(podsReachEachOther(context, ['ipv4'], pods));
	t.is(error?.message, '1 of 2 pairs of pods (ipv4) failed: pod a on node-1 -> pod b on node-2: i/o timeout');
});

test('A pod that another one answers for is not reached', async (t) => {
	const error = await t.throwsAsync(podsReachEachOther(contextOf(() => ({stdout: '0 {"responses":["a"]}\n'})), ['ipv4'], pods));
	t.regex(error?.message ?? '', /pod a on node-1 -> pod b on node-2: a answered instead of b/);
});

test('A pod is asked on its own node, by an address that is bracketed where it must be', async (t) => {
	const context = contextOf(() => ({stdout: '0 {"responses":["x"]}\n'}));
	const [dialled] = await dialAll(context, 'ipv6', [{from: pods[1]!, host: 'fd00:4000::1', port: 5001, to: 'Service x'}]);
	t.is(dialled?.answer, 'x');
	t.regex(context.calls[0] ?? '', /^node-2: .*http:\/\/\[1100::1\]:8080\/dial\?host=fd00%3A4000%3A%3A1&port=5001/);
	t.notThrows(() => {
		claimAnswered('requests', [dialled!], () => ['x', 'y']);
	});
});

test('What curl complains about is the problem', async (t) => {
	const [dialled] = await dialAll(contextOf(() => ({stdout: '0 curl: (28) Connection timed out\n'})), 'ipv4', [{from: pods[0]!, host: 'x', port: 1, to: 'x'}]);
	t.is(dialled?.problem, 'curl: (28) Connection timed out');
});

test('Pods that talk and should not are named, and no pair at all is no proof', async (t) => {
	const context = contextOf(({machine}) => ({stdout: machine === 'node-1' ? '0 {"errors":["i/o timeout"]}\n' : '0 {"responses":["a"]}\n'}));
	await t.throwsAsync(podsDoNotReachEachOther(context, 'ipv4', pods, acrossNodes), {message: '1 of 2 pairs of pods talk (ipv4)\npod b on node-2 -> pod a on node-1'});
	await t.throwsAsync(podsDoNotReachEachOther(context, 'ipv4', pods, onOneNode), {message: 'there is no such pair of pods'});
	await t.notThrowsAsync(podsDoNotReachEachOther(contextOf(() => ({stdout: '0 {"errors":["i/o timeout"]}\n'})), 'ipv4', pods, acrossNodes));
});

test('A connection is told as it is: made, hanging, or with the kernel\'s word', async (t) => {
	const told = async (result: Awaited<ReturnType<Answer>>) => tryConnection(contextOf(() => result).node('node-1'), '12.0.0.1', 443);
	t.is(await told({}), undefined);
	t.is(await told({exitCode: 124}), 'no answer');
	t.is(await told({exitCode: 1, stderr: 'bash: connect: Invalid argument\nbash: line 1: /dev/tcp/12.0.0.1/443: Invalid argument\n'}), 'Invalid argument');
	t.is(await told({exitCode: 127, stderr: 'timeout: failed to run command\n'}), 'timeout: failed to run command');
});

test('kube-proxy takes on a change, and nothing else of its configuration is lost', async (t) => {
	const written: string[] = [];
	const lab = createFakeLab(({command, input}) => {
		if (input !== undefined) {
			written.push(input);
			return {};
		}

		return {stdout: command.startsWith('cat') ? '{"mode":"nftables","clusterCIDR":"11.0.0.0/16","hostnameOverride":"node-1"}' : command.includes('proxyMode') ? 'ipvs' : ''};
	});
	const context = {eventually: async (_sentence: string, observe: () => Promise<unknown>) => observe()} as unknown as StepContext;
	await changeProxy(context, [openMachines(lab, signal).handle('node-1')], {mode: 'ipvs', clusterCIDR: ''});
	t.deepEqual(written.map((text) => JSON.parse(text) as unknown), [{mode: 'ipvs', clusterCIDR: '', hostnameOverride: 'node-1'}]);
	t.true(lab.calls.some(({command}) => command.includes('s/^PROXY_MODE=.*/PROXY_MODE=ipvs/')));
});

test('A node forwards again, though the check failed', async (t) => {
	const context = contextOf(() => ({}));
	await t.throwsAsync(withoutForwarding(context, 'node-2', ['ipv4', 'ipv6'], async () => {
		throw new Error('no');
	}), {message: 'no'});
	t.deepEqual(context.calls.map((call) => /-P FORWARD \w+/.exec(call)?.[0]), ['-P FORWARD DROP', '-P FORWARD ACCEPT']);
	t.regex(context.calls[0] ?? '', /in iptables ip6tables;/);
});

/** What curl prints for answers. */
function curlOutput(...answers: string[]): string {
	return answers.map((answer) => `${answer} 200 1\n`).join('');
}

test('Connections that are answered evenly pass, and are counted', async (t) => {
	const context = contextOf(() => ({stdout: curlOutput(...Array.from({length: 100}, (_, index) => (index % 2 === 0 ? 'a' : 'b')))}));
	t.deepEqual(await connectionsSpread(context.tester('tester-1'), 100, 'http://x', pods), new Map([['a', 50], ['b', 50]]));
});

test('A connection without an answer, or one that was used twice, is missing', async (t) => {
	const lost = contextOf(() => ({stdout: curlOutput('a', 'b'), stderr: 'curl: (28) timed out', exitCode: 28}));
	await t.throwsAsync(connectionsSpread(lost.tester('tester-1'), 3, 'http://x', pods), {message: /^1 of 3 new connections from tester-1/});
	const reused = contextOf(() => ({stdout: 'a 200 1\nb 200 0\n'}));
	await t.throwsAsync(connectionsSpread(reused.tester('tester-1'), 2, 'http://x', pods), {message: /^1 of 2 new connections/});
});

test('Connections that all meet one pod are not spread', async (t) => {
	const context = contextOf(() => ({stdout: curlOutput(...Array.from({length: 100}, () => 'a'))}));
	await t.throwsAsync(connectionsSpread(context.tester('tester-1'), 100, 'http://x', pods), {message: /not spread evenly: a got 100 of 100/});
});

test('Client addresses are told without their ports, each once', async (t) => {
	const context = contextOf(() => ({stdout: curlOutput('192.168.2.221:40000', '192.168.2.221:40001', '[1000::2]:40000')}));
	t.deepEqual(await seenClients(context.tester('tester-1'), 3, 'http://x'), ['192.168.2.221', '1000::2']);
});

test('Only a refused connection or no answer counts as nothing', async (t) => {
	for (const exitCode of [7, 28]) {
		await t.notThrowsAsync(nothingAnswers(contextOf(() => ({exitCode})).tester('tester-1'), 'http://x'));
	}

	for (const exitCode of [0, 6, 22, 127]) {
		await t.throwsAsync(nothingAnswers(contextOf(() => ({exitCode})).tester('tester-1'), 'http://x'));
	}
});

test('A node is known by its address and by its bridge\'s', (t) => {
	const lab = {...topology, machines: topology.machines.map((machine) => ({...machine, pods: {ipv4: `11.0.${machine.index}.0/24`}}))};
	t.deepEqual(nodeAddresses(lab, 'ipv4'), ['192.168.1.1', '11.0.1.1', '192.168.1.2', '11.0.2.1']);
});

test('URLs have IPv6 addresses in brackets', (t) => {
	t.is(urlOf('1000::2', 5001), 'http://[1000::2]:5001/hostname');
});

test('A lab without the test server says what to do', (t) => {
	t.throws(() => deployment(topology, 'hello', 4), {message: /no agnhost image/});
});

test('Addresses in another order than the cluster\'s are told, with whose they are', async (t) => {
	const [four, six] = ['192.168.1.1', '1000::1'];
	const clusterOf = (podIPs: readonly string[]): StepContext => ({cluster: {async get(kind: string) {
		return {items: {
			nodes: ['node-1', 'node-2'].map((name) => ({metadata: {name}, spec: {podCIDRs: ['1100::/64', '11.0.0.0/24']}, status: {addresses: [{type: 'Hostname', address: name}, {type: 'InternalIP', address: six}, {type: 'InternalIP', address: four}]}})),
			pods: [{metadata: {name: 'a'}, status: {podIPs: podIPs.map((ip) => ({ip}))}}],
			services: [{metadata: {name: 'hello'}, spec: {clusterIPs: ['fd00::1', '12.0.0.1']}}],
		}[kind]};
	}}}) as unknown as StepContext;
	await t.notThrowsAsync(familiesAreInOrder(clusterOf([six, four]), ['ipv6', 'ipv4'], ['hello']));
	await t.throwsAsync(familiesAreInOrder(clusterOf([four, six]), ['ipv6', 'ipv4'], ['hello']), {message: 'the order is to be ipv6, ipv4: pod a has 192.168.1.1, 1000::1'});
	await t.throwsAsync(familiesAreInOrder(clusterOf([six]), ['ipv6', 'ipv4'], ['hello']), {message: /pod a has 1000::1$/});
	await t.throwsAsync(familiesAreInOrder(clusterOf([six, four]), ['ipv4', 'ipv6'], ['hello']), {message: /node node-1 has 1000::1, 192/});
});
