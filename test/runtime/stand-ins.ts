/** Stand-ins for what a lab runs on: a process that sleeps for QEMU, a function for what a machine answers. */
import {mkdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {linkNames} from '../../lab/fabric/capture-request.ts';
import {openCaptures} from '../../lab/fabric/capture.ts';
import {plainLink} from '../../lab/fabric/link-setting.ts';
import {failure} from '../../lab/host/failure.ts';
import {identify} from '../../lab/host/process.ts';
import {run, spawnDaemon} from '../../lab/host/program.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {machineMarker} from '../../lab/machine/arguments.ts';
import type {Machine} from '../../lab/machine/machine.ts';
import type {Qmp, QmpEvent} from '../../lab/machine/qmp.ts';
import type {MachineSpecification} from '../../lab/machine/specification.ts';
import type {ExecOptions, ExecResult, SshConnection} from '../../lab/machine/ssh.ts';
import type {Plan, PlannedMachine} from '../../lab/plan/plan.ts';
import type {LabParts} from '../../lab/runtime/lab.ts';
import type {ReadyCondition} from '../../lab/spec/overlay.ts';
import type {MadeStage} from '../../lab/store/store.ts';

const mebibyte = 1024 ** 2;

function machine(name: string, ready: readonly ReadyCondition[]): PlannedMachine {
	return {
		name, role: 'node', index: 1, cpus: 1, memory: 2 * mebibyte, disk: 64 * mebibyte, maintenanceMac: '02:00:00:00:00:01', address: {ipv4: '192.168.1.1'}, pods: {},
		links: [{network: 'cluster', device: 'eth1', mac: '02:00:00:00:01:01', mtu: 1500, addresses: [{family: 'ipv4', address: '192.168.1.1', prefix: 24}]}],
		overlays: ['base'], routes: [], files: [{path: '/etc/hostname', text: `${name}\n`}], units: [], state: [], ready,
		evidence: [{name: 'own.txt', command: 'own'}], stages: {image: 'image tiny', layer: 'layer node', disk: 'disk'},
	};
}

/** A plan of machines with nothing in them. */
export function standInPlan(names: readonly string[] = ['node-1'], ready: readonly ReadyCondition[] = []): Plan {
	const machines = names.map((name) => machine(name, ready));
	return {
		topology: {
			families: ['ipv4'], machines, networks: [{name: 'cluster', families: ['ipv4'], subnets: {ipv4: '192.168.1.0/24'}, mtu: 1500}],
			pods: {}, services: {}, external: {}, options: {}, providers: {}, images: [],
		},
		imageName: 'tiny', image: {summary: '', release: 'none', kernel: 'none', packages: [], bootModules: [], kernelArguments: ['quiet']},
		overlays: ['base'], machines, egress: false, stages: [], key: 'abc',
		forwards: [{name: 'kube-apiserver', machine: names[0] ?? '', port: 6443}],
		access: {forward: 'kube-apiserver', authority: 'kubernetes', client: {authority: 'kubernetes', commonName: 'admin', usages: ['client']}},
	};
}

/** Made stages for the plan, their files empty but for the disk. */
export async function standInStages(folder: string): Promise<Map<string, MadeStage>> {
	const files: Readonly<Record<string, readonly string[]>> = {'image tiny': ['vmlinuz', 'initramfs', 'root.erofs'], 'layer node': ['layer.erofs'], disk: []};
	const made = new Map<string, MadeStage>();
	for (const [name, contents] of Object.entries(files)) {
		const place = path.join(folder, 'store', name.replace(' ', '-'));
		await mkdir(place, {recursive: true});
		for (const content of contents) {
			await writeFile(path.join(place, content), Buffer.alloc(2 * mebibyte));
		}

		if (name === 'disk') {
			await run('qemu-img', ['create', '-q', '-f', 'qcow2', path.join(place, 'disk.qcow2'), '64M']);
		}

		made.set(name, {name, key: name, folder: place, digest: '', madeAt: 0, seconds: 0, bytes: 0});
	}

	return made;
}

/** What a command on a stand-in machine gives. Throws for a machine that cannot be asked; the signal is the command's. */
export type Answer = (command: string, machine: string, signal?: AbortSignal) => Partial<ExecResult> | Promise<Partial<ExecResult>>;

/** Parts of a lab that run no machines; what was started is there to be looked at and broken. */
export interface StandIns extends LabParts {
	/** `commands` are those of the monitor, each with what came along. */
	readonly machines: Map<string, {spec: MachineSpecification; machine: Machine; tell: (event: QmpEvent) => void; commands: Array<[string, unknown]>}>;
	readonly counts: {fabrics: number; connections: number};
}

/** Makes stand-ins. `silent` machines never answer over ssh; `taken` ports are in use when a machine is started. */
export function createStandIns(options: {answer?: Answer; silent?: readonly string[]; taken?: Set<number>; speed?: number} = {}): StandIns {
	const {answer = () => ({}), silent = [], taken = new Set(), speed = 1} = options;
	const machines: StandIns['machines'] = new Map();
	const counts = {fabrics: 0, connections: 0};
	return {
		machines,
		counts,
		probeAccelerator: async () => ({accelerator: 'tcg', reason: 'a stand-in', speed, readOnlyMemory: false}),
		async startFabric({folder, networks}) {
			counts.fabrics += 1;
			const captures = openCaptures(folder, linkNames(networks));
			let end: (value: undefined) => void = () => {};
			const ended = new Promise<undefined>((resolve) => {
				end = resolve;
			});
			return {
				ended,
				report: async () => [],
				traffic: async () => [],
				links: async () => [],
				changeLink: async () => plainLink,
				async hold() {},
				state: async () => [],
				async release() {},
				capture: async (request) => path.join(folder, await captures.open(request)),
				async stop() {
					await captures.close();
					counts.fabrics -= 1;
					end(undefined);
				},
			};
		},
		async startMachine(spec, {cwd, signal}) {
			signal?.throwIfAborted();
			const busy = spec.maintenance.forwards.find(({hostPort}) => taken.has(hostPort));
			if (busy !== undefined) {
				taken.delete(busy.hostPort);
				throw failure.portTaken(busy.hostPort, spec.name);
			}

			await writeFile(path.join(cwd, spec.consoleLog), 'booting\n', {flag: 'a'});
			const log = path.join(cwd, spec.log);
			// The marker stands where QEMU's command line has it.
			const daemon = await spawnDaemon('sh', ['-c', 'sleep 300; true', ...machineMarker(spec).split(' ')], {cwd, log});
			const listeners = new Set<(event: QmpEvent) => void>();
			const tell = (event: QmpEvent): void => {
				for (const listener of listeners) {
					listener(event);
				}
			};

			const commands: Array<[string, unknown]> = [];
			const started: Machine = {
				name: spec.name, pid: daemon.pid, identity: await identify(daemon.pid, machineMarker(spec)), ended: daemon.ended,
				qmp: {
					async execute(command: string, args?: unknown) {
						commands.push([command, args]);
						if (command === 'system_reset') {
							tell({event: 'RESET', data: {guest: false}, at: 0});
						}
					},
					onEvent(listener: (event: QmpEvent) => void) {
						listeners.add(listener);
						return () => {
							listeners.delete(listener);
						};
					},
				} as Partial<Qmp> as Qmp,
				explainEnd: async () => failure.machineExited(spec.name, 'with exit code 1', ['some last words'], log),
				async powerOff() {
					daemon.kill('SIGKILL');
					await daemon.ended;
				},
				async kill() {
					daemon.kill('SIGKILL');
					await daemon.ended;
				},
			};
			machines.set(spec.name, {spec, machine: started, commands, tell});
			return started;
		},
		async connectSsh({machine: name = '', signal, deadline}) {
			signal?.throwIfAborted();
			if (silent.includes(name)) {
				await new Promise((_resolve, reject) => {
					const alarm = setTimeout(() => {
						reject(failure.waitExpired('ssh', deadline / 1000, 'silence'));
					}, deadline);
					signal?.addEventListener('abort', () => {
						clearTimeout(alarm);
						reject(signal.reason as Error);
					});
				});
			}

			counts.connections += 1;
			let end: () => void = () => {};
			const closed = new Promise<void>((resolve) => {
				end = resolve;
			});
			return {
				machine: name,
				exec: async (command: string, options?: ExecOptions) => ({stdout: '', stderr: '', bytes: Buffer.alloc(0), exitCode: 0, ...await answer(command, name, options?.signal)}),
				closed,
				close() {
					counts.connections -= 1;
					end();
				},
			} as Partial<SshConnection> as SshConnection;
		},
	};
}

/** A folder with a state folder in it, which everything uses meanwhile: tests that use it must run one after the other. */
export async function withStateFolder(use: (folder: string) => Promise<void>): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		const before = process.env['VMLAB_STATE_DIR'];
		process.env['VMLAB_STATE_DIR'] = path.join(folder, 'state');
		try {
			await use(folder);
		} finally {
			if (before === undefined) {
				delete process.env['VMLAB_STATE_DIR'];
			} else {
				process.env['VMLAB_STATE_DIR'] = before;
			}
		}
	});
}
