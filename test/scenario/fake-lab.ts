/** A lab in this process: machines answer commands by a function. */
import type {LabEvent} from '../../lab/event/event.ts';
import {plainLink} from '../../lab/fabric/link-setting.ts';
import type {ScenarioLab} from '../../lab/scenario/scenario-lab.ts';
import type {CommandResult} from '../../lab/scenario/scenario.ts';
import type {LabMachine, LabTopology} from '../../lab/spec/topology.ts';

function machine(name: string, role: string, index: number, address: string): LabMachine {
	return {
		name, role, index, address: {ipv4: address}, pods: {}, maintenanceMac: '02:00:00:00:01:01',
		links: [{network: 'cluster', device: 'eth1', mac: '02:00:00:00:00:01', mtu: 1500, addresses: [{family: 'ipv4', address, prefix: 24}]}],
	};
}

export const topology: LabTopology = {
	families: ['ipv4'],
	machines: [machine('node-1', 'node', 1, '192.168.1.1'), machine('node-2', 'node', 2, '192.168.1.2'), machine('tester-1', 'tester', 1, '192.168.2.221')],
	networks: [{name: 'cluster', families: ['ipv4'], subnets: {ipv4: '192.168.1.0/24'}, mtu: 1500}],
	pods: {}, services: {}, external: {}, options: {}, providers: {}, images: [],
};

export interface Call {
	readonly machine: string;
	/** Without what the runner puts in front. */
	readonly command: string;
	readonly input?: string;
}

export interface FakeLab extends ScenarioLab {
	readonly calls: Call[];
	/** Connections that were opened, by machine. */
	readonly opened: string[];
	readonly closed: string[];
	readonly evidence: string[];
	/** Of the frames that were wanted with the evidence. */
	readonly spans: Array<{readonly since?: number; readonly until?: number} | undefined>;
}

export type Answer = (call: Call, signal: AbortSignal | undefined) => Partial<CommandResult> | Promise<Partial<CommandResult>>;

export function createFakeLab(answer: Answer = () => ({}), speed = 1): FakeLab {
	const calls: Call[] = [];
	const opened: string[] = [];
	const closed: string[] = [];
	const evidence: string[] = [];
	const spans: FakeLab['spans'] = [];
	return {
		name: 'fake', plan: {topology}, made: new Map(), speed, calls, opened, closed, evidence, spans,
		async ssh(name) {
			opened.push(name);
			return {
				async exec(command, options = {}) {
					const call = {machine: name, command: command.replace('set -euo pipefail; ', ''), ...(options.input === undefined ? {} : {input: options.input})};
					calls.push(call);
					return {stdout: '', stderr: '', exitCode: 0, ...await answer(call, options.signal)};
				},
				close() {
					closed.push(name);
				},
			};
		},
		traffic: async () => [],
		links: async () => [],
		changeLink: async () => plainLink,
		machineReports: async () => [],
		async changeMachine() {},
		async machineReady() {},
		recording: async () => ({frames: [], links: []}),
		async collectEvidence(folder, _signal, span) {
			spans.push(span);
			evidence.push(folder);
		},
	};
}

/** A sink that remembers, and the lines `type reason step` of what it got. */
export function recordEvents(): {events: LabEvent[]; sink: (event: LabEvent) => void; lines: () => string[]} {
	const events: LabEvent[] = [];
	return {
		events,
		sink(event) {
			events.push(event);
		},
		lines: () => events.flatMap((event) => (event.type === 'step' || event.type === 'scenario')
			? [[event.type, event.reason, ...(event.type === 'step' ? [...(event.parent === undefined ? [] : [`${event.parent} /`]), event.step] : [])].join(' ')]
			: []),
	};
}

/** Never settles, until the signal aborts. */
export function hang(signal: AbortSignal | undefined): Promise<never> {
	return new Promise((_resolve, reject) => {
		signal?.addEventListener('abort', () => {
			reject(signal.reason as Error);
		});
	});
}
