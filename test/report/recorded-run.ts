/** Runs as events, for the tests of reports. */
import type {LabEvent, TimedEvent} from '../../lab/event/event.ts';
import type {FailureDescription} from '../../lab/host/error.ts';

/** 2026-01-02 03:04:05 UTC. */
export const start = Date.UTC(2026, 0, 2, 3, 4, 5);

/** Events with their moments: `[seconds since the start, event]`. */
export function at(...events: ReadonlyArray<readonly [number, LabEvent]>): TimedEvent[] {
	return events.map(([seconds, event]) => ({...event, at: start + seconds * 1000}));
}

export const pairFailed: FailureDescription = {
	code: 'step-failed', kind: 'scenario',
	message: 'each pod reaches each other pod: 2 of 12 pairs of pods (ipv4) failed: pod hello-a on node-1 -> pod hello-c on node-2: i/o timeout',
	details: ['pod hello-b on node-1 -> pod hello-c on node-2: i/o timeout', 'called from podsReachEachOther, /project/scripts/steps/pod-network.ts:14:3'],
	where: {file: '/project/scripts/steps/dial.ts', line: 71, column: 2},
};

export const machineBroke: FailureDescription = {
	code: 'machine-broke', kind: 'machine', message: 'The machine node-2 broke: the connection ended', hint: 'Look at its console.', log: '/labs/ipv4/node-2/console.log',
};

function booted(): Array<readonly [number, LabEvent]> {
	const lab = 'ipv4';
	return [
		[0, {type: 'note', level: 'warning', text: 'KVM cannot be used here, so machines run under TCG: 7.2 times slower'}],
		[0.1, {type: 'stage', reason: 'cached', stage: 'image bookworm', key: 'a1'}],
		[0.1, {type: 'stage', reason: 'cached', stage: 'component containerd', key: 'a2'}],
		[0.2, {type: 'stage', reason: 'started', stage: 'component etcd', key: 'a3'}],
		[0.2, {type: 'stage', reason: 'started', stage: 'component kubernetes', key: 'a4'}],
		[5, {type: 'stage', reason: 'progress', stage: 'component etcd', key: 'a3', text: 'go build go.etcd.io/etcd/server/v3'}],
		[20.4, {type: 'stage', reason: 'made', stage: 'component etcd', key: 'a3', seconds: 20.2, bytes: 45_000_000}],
		[312, {type: 'stage', reason: 'made', stage: 'component kubernetes', key: 'a4', seconds: 311.8, bytes: 420_000_000}],
		[312, {type: 'stage', reason: 'started', stage: 'layer node', key: 'a5'}],
		[318, {type: 'stage', reason: 'made', stage: 'layer node', key: 'a5', seconds: 6, bytes: 600_000_000}],
		[318, {type: 'topology', lab, networks: [{name: 'cluster', subnets: ['192.168.1.0/24', '1000::1:c0a8:100/120']}, {name: 'external', subnets: ['192.168.2.0/24']}], machines: [
			{name: 'node-1', role: 'node', links: [{network: 'cluster', addresses: ['192.168.1.1/24', '1000::1:c0a8:101/120']}]},
			{name: 'node-2', role: 'node', links: [{network: 'cluster', addresses: ['192.168.1.2/24', '1000::1:c0a8:102/120']}]},
			{name: 'router-1', role: 'router', links: [{network: 'cluster', addresses: ['192.168.1.201/24', '1000::1:c0a8:1c9/120']}, {network: 'external', addresses: ['192.168.2.201/24']}]},
			{name: 'tester-1', role: 'tester', links: [{network: 'external', addresses: ['192.168.2.221/24']}]},
		]}],
		[318.1, {type: 'lab', reason: 'starting', lab}],
		[318.2, {type: 'lab', reason: 'booting', lab}],
		...['node-1', 'node-2', 'router-1', 'tester-1'].flatMap((machine, index): Array<readonly [number, LabEvent]> => [
			[318.3 + index / 10, {type: 'machine', reason: 'started', lab, machine, pid: 1000 + index}],
			[330 + index, {type: 'machine', reason: 'answers', lab, machine, seconds: 12 + index}],
			[machine.startsWith('node') ? 440 : 335, {type: 'machine', reason: 'ready', lab, machine, seconds: machine.startsWith('node') ? 121 : 16}],
		]).sort(([a], [b]) => a - b),
		[340, {type: 'wait', reason: 'started', sentence: 'node-1 is Ready', deadline: 650}],
		[440, {type: 'wait', reason: 'met', sentence: 'node-1 is Ready', seconds: 100}],
		[440.1, {type: 'lab', reason: 'ready', lab, seconds: 122}],
		[440.2, {type: 'scenario', reason: 'started', scenario: 'ipv4', summary: 'Pods, Services and external addresses of an IPv4 cluster', lab}],
		[440.3, {type: 'step', reason: 'started', scenario: 'ipv4', step: 'all nodes are Ready'}],
		[441.9, {type: 'step', reason: 'passed', scenario: 'ipv4', step: 'all nodes are Ready', seconds: 1.6}],
	];
}

const step = {type: 'step', scenario: 'ipv4', step: 'each pod reaches each other pod'} as const;

/** A run that ends well. */
export const passedRun = at(
	...booted(),
	[442, {...step, reason: 'started'}],
	[442.1, {...step, reason: 'started', step: 'from node-1', parent: step.step}],
	[442.2, {type: 'wait', reason: 'started', sentence: 'hello-c answers', deadline: 300, scenario: 'ipv4'}],
	[443.7, {type: 'wait', reason: 'met', sentence: 'hello-c answers', seconds: 1.5, scenario: 'ipv4'}],
	[444, {...step, reason: 'passed', step: 'from node-1', parent: step.step, seconds: 1.9}],
	[446, {...step, reason: 'passed', seconds: 4}],
	[446.1, {type: 'note', level: 'info', text: 'Connections by pod: hello-a 98, hello-b 104', scenario: 'ipv4'}],
	[446.2, {type: 'scenario', reason: 'passed', scenario: 'ipv4', seconds: 6}],
	[446.3, {type: 'lab', reason: 'stopping', lab: 'ipv4'}],
	[446.8, {type: 'machine', reason: 'exited', lab: 'ipv4', machine: 'node-1', code: 0, signal: null}],
	[447, {type: 'lab', reason: 'ended', lab: 'ipv4'}],
);

/** A run with a claim that fails. */
export const failedRun = at(
	...booted(),
	[442, {...step, reason: 'started'}],
	[442.1, {type: 'note', level: 'info', text: 'The pods are hello-a, hello-b and hello-c', scenario: 'ipv4'}],
	[442.2, {type: 'wait', reason: 'started', sentence: 'pairs answer', deadline: 19, scenario: 'ipv4'}],
	[461.2, {type: 'wait', reason: 'expired', sentence: 'pairs answer', seconds: 19, last: '2 of 12 are silent', scenario: 'ipv4'}],
	[462, {...step, reason: 'failed', seconds: 20, error: pairFailed}],
	[470, {type: 'evidence', scenario: 'ipv4', path: '/reports/evidence/ipv4', files: 34}],
	[470.1, {type: 'scenario', reason: 'failed', scenario: 'ipv4', seconds: 21.8, error: pairFailed}],
);

/** A run whose machine breaks in a step. */
export const brokenRun = at(
	...booted(),
	[442, {...step, reason: 'started'}],
	[450, {type: 'machine', reason: 'exited', lab: 'ipv4', machine: 'node-2', code: null, signal: 'SIGBUS'}],
	[450.1, {...step, reason: 'failed', seconds: 8, error: machineBroke}],
	[450.2, {type: 'scenario', reason: 'failed', scenario: 'ipv4', seconds: 10, error: machineBroke}],
);

/** A run that never came to its scenario. */
export const unbuiltRun = at(
	[0, {type: 'stage', reason: 'started', stage: 'component etcd', key: 'a'}],
	[2, {type: 'stage', reason: 'failed', stage: 'component etcd', key: 'a', seconds: 2, error: {code: 'component-missing', kind: 'component', message: 'No provider has etcd 9.9.9', details: ['go: unknown revision']}}],
);

/** What hostile machines might say. */
export const hostileText = '</pre><script>alert(1)</script>"\'&<b onmouseover=x>]]>\u001B[2J\u001B]0;title\u0007\u0000\u0008\u009B31m\u202Edesrever\uD800 \u001B[31mred\u001B[0m ä😀';

/** A run in which every text is hostile. */
export const hostileRun = at(
	[0, {type: 'note', level: 'info', text: hostileText}],
	[0, {type: 'topology', lab: hostileText, networks: [{name: hostileText, subnets: [hostileText]}], machines: [{name: hostileText, role: hostileText, links: [{network: 'nowhere', addresses: [hostileText]}]}]}],
	[0, {type: 'stage', reason: 'started', stage: hostileText, key: hostileText}],
	[1, {type: 'stage', reason: 'progress', stage: hostileText, key: hostileText, text: hostileText}],
	[1, {type: 'machine', reason: 'started', lab: hostileText, machine: hostileText, pid: 1}],
	[2, {type: 'scenario', reason: 'started', scenario: hostileText, summary: hostileText, lab: hostileText}],
	[3, {type: 'step', reason: 'started', scenario: hostileText, step: hostileText}],
	[3, {type: 'note', level: 'warning', text: hostileText, scenario: hostileText}],
	[3, {type: 'wait', reason: 'started', sentence: hostileText, deadline: 3, scenario: hostileText}],
	[4, {type: 'wait', reason: 'expired', sentence: hostileText, seconds: 1, last: hostileText, scenario: hostileText}],
	[4, {type: 'step', reason: 'failed', scenario: hostileText, step: hostileText, seconds: 1, error: {
		code: hostileText, kind: 'scenario', message: hostileText, details: [hostileText], hint: hostileText, log: hostileText, where: {file: hostileText, line: 1},
	}}],
	[4, {type: 'evidence', scenario: hostileText, path: 'javascript:alert(1)', files: 1}],
	[5, {type: 'scenario', reason: 'failed', scenario: hostileText, seconds: 3, error: {code: hostileText, kind: 'machine', message: `${hostileText}!`, details: [hostileText]}}],
);
