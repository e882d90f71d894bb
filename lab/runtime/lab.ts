/** A lab that lives: from made stages to machines that are ready, and back to nothing. This process owns it. */
import {setMaxListeners} from 'node:events';
import {mkdir, rm, stat, truncate} from 'node:fs/promises';
import path from 'node:path';
import type {EventSink, LabEvent} from '../event/event.ts';
import type {CaptureRequest} from '../fabric/capture-request.ts';
import {readCapture, receiveRecording} from '../fabric/capture-stream.ts';
import {type Fabric, type NetworkState, startFabric} from '../fabric/fabric.ts';
import type {LinkChange, LinkSetting} from '../fabric/link-setting.ts';
import type {LinkReport} from '../fabric/link.ts';
import type {Recording} from '../fabric/recording.ts';
import type {NetworkTraffic} from '../fabric/traffic.ts';
import {checkMemory} from '../host/doctor/resources.ts';
import {asLabError, LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {interruption} from '../host/interruption.ts';
import {processorTimeOf} from '../host/process.ts';
import {graceAfter} from '../host/wait.ts';
import {writeFileWhole} from '../host/whole-file.ts';
import {type AcceleratorProbe, probeAccelerator} from '../machine/accelerator.ts';
import {loadDeviceState} from '../machine/device-state.ts';
import {tellFork} from '../machine/fork-line.ts';
import {type Machine, startMachine} from '../machine/machine.ts';
import {connectSsh, type SshConnection} from '../machine/ssh.ts';
import {labKey} from '../plan/plan-key.ts';
import type {Plan, PlannedMachine} from '../plan/plan.ts';
import {showFaults} from '../spec/fault.ts';
import {type ReadyLabInputs, readyLabName} from '../plan/ready-lab.ts';
import type {MadeStage} from '../store/store.ts';
import type {StartingMachine} from './boot-hang.ts';
import {claimLab, type LabClaim} from './claim.ts';
import {createCleanup} from './cleanup.ts';
import {limitLogs} from './console-limit.ts';
import {consoleLogOf, tailOf} from './console-tail.ts';
import {openEventLog} from './event-log.ts';
import {collectEvidence} from './evidence.ts';
import {type LabFaults, openFaults} from './faults.ts';
import {freezeLab, tidyGuest} from './freeze.ts';
import {checkStates, copySecrets, frozenMachine, readFrozenLab} from './frozen-lab.ts';
import {keepEvidence} from './kept-evidence.ts';
import {makeKubeconfig} from './kubeconfig.ts';
import {removeLabFolder} from './lab-folder.ts';
import {type ForwardRecord, keepRecord, type LabRecord, type MachineRecord, type MachineState} from './lab-record.ts';
import type {LabRequest} from './lab-request.ts';
import {serveLab} from './lab-server.ts';
import {type LabLinks, openLinks} from './links.ts';
import type {MachineChange, MachineReport} from './machine-change.ts';
import {reserveMemory} from './memory.ts';
import {paceOf} from './pace.ts';
import {fabricNetworks} from './fabric-networks.ts';
import {forkSocket, type PoweredMachine, powerOn, type PreparedMachine, prepareMachine, stateSocket} from './power-on.ts';
import {awaitAnswer, awaitReady, type AwaitedMachine} from './ready.ts';
import {openSecrets} from './secrets.ts';
import {kernelOf, stageFolder} from './stage-folder.ts';
import {allOf, together} from './together.ts';
import {checkValidity} from './validity.ts';

/** A lab that is to be booted. */
export interface BootRequest extends LabRequest {
	/** A name that was taken before. Without it, it is taken here. */
	readonly claim?: LabClaim;
	/** A failed boot waits for somebody to take its events before it goes: nobody else would tell of it. */
	readonly supervised?: boolean;
	/** The stage that it makes, where it is there for that alone. */
	readonly makes?: string;
}

/** A running lab. Whoever booted it must take it down. */
export interface Lab {
	readonly name: string;
	readonly folder: string;
	readonly plan: Plan;
	readonly made: ReadonlyMap<string, MadeStage>;
	/** The factor for deadlines that are declared at KVM speed; at least 1. */
	readonly speed: number;
	/** The path of the private kubeconfig, where the lab has a cluster. */
	readonly kubeconfig?: string;
	readonly forwards: readonly ForwardRecord[];
	/** As it is now. */
	readonly record: LabRecord;
	/** Aborts when the lab cannot go on: a machine ended by itself, or somebody asked for the lab's end. The reason is a LabError. */
	readonly over: AbortSignal;
	/** Resolves when the lab is down, whoever took it down. */
	readonly ended: Promise<void>;
	/** A connection of one's own to a machine; closed with the lab at the latest. */
	ssh(machine: string, signal?: AbortSignal): Promise<SshConnection>;
	/** What each network has carried since the boot, that of the lab that this one is a fork of included. Throws `fabric-failed`. */
	traffic(): Promise<NetworkTraffic[]>;
	/** All links, with what is set on them and what became of their frames. Throws `fabric-failed`. */
	links(): Promise<LinkReport[]>;
	/**
	 * Changes what is set on a link, and gives what was set before.
	 *
	 * @throws `unknown-link`, naming the known; `fabric-failed`, `monitor-lost`, `monitor-refused`
	 */
	changeLink(change: LinkChange): Promise<LinkSetting>;
	/** All machines, with what is wrong with each on purpose. */
	machineReports(): Promise<MachineReport[]>;
	/** Changes what is wrong with a machine on purpose: see `LabFaults.change`, which says what it throws. */
	changeMachine(change: MachineChange, signal?: AbortSignal): Promise<void>;
	/** Returns when a machine that was reset or powered on, or reboots by itself, is ready: see `LabFaults.settled`. */
	machineReady(machine: string, signal?: AbortSignal): Promise<void>;
	/** Makes a capture of its links, and gives the path of its socket: see `Fabric.capture`, which says what it throws. */
	capture(request: CaptureRequest): Promise<string>;
	/** The frames that crossed its links, as far as they are recorded: since a moment in milliseconds since 1970. Throws `fabric-failed`. */
	recording(since: number, signal?: AbortSignal): Promise<Recording>;
	/**
	 * Collects the machines' evidence into a folder, and what the links carried. Does not throw for what cannot be had.
	 *
	 * @param span of the frames that are kept, in milliseconds since 1970; default all that were recorded
	 */
	collectEvidence(folder: string, signal?: AbortSignal, span?: CaptureRequest['recorded']): Promise<void>;
	/**
	 * Freezes the lab into an empty folder: see `lab/runtime/frozen-lab.ts`.
	 *
	 * @param options.goesOn it goes on afterwards; else it is made small before, stands still, and all that is left to do is `down`
	 * @throws `faults-in-force`, `machine-broke`, `monitor-lost`, `fabric-failed`, `disk-full`, `interrupted`
	 */
	freeze(target: string, inputs: ReadyLabInputs, options: {goesOn: boolean}): Promise<void>;
	/**
	 * Ends the lab: afterwards no process, socket, or file of it remains. May be called often, and while it goes down.
	 * Throws what failed first, having gone on with the rest.
	 */
	down(): Promise<void>;
}

/** What runs machines and networks: the computer's own, or stand-ins. */
export interface LabParts {
	readonly probeAccelerator: typeof probeAccelerator;
	readonly startFabric: typeof startFabric;
	readonly startMachine: typeof startMachine;
	readonly connectSsh: typeof connectSsh;
}

const ownParts: LabParts = {probeAccelerator, startFabric, startMachine, connectSsh};

/** Milliseconds at KVM speed for a new connection to a machine that answered before. */
const connectDeadline = 10_000;
/** Milliseconds at KVM speed for a fork to restart the units that must not go on as they were. */
const restartDeadline = 30_000;
/** Milliseconds for the evidence of a failed boot, once somebody waits for the lab's end. */
const hurriedEvidence = 10_000;
/** Milliseconds that a failed boot waits for somebody who takes its events. */
const watcherDeadline = 5000;

/**
 * Boots all machines of a plan and waits until each is ready.
 *
 * When it fails, or is aborted, everything that it started has ended and the lab's folder is gone when it rejects.
 *
 * @throws `lab-runs`, `frozen-lab-broken`, `certificate-not-valid`, `no-room-for-memory`, `machine-silent`, `machine-crashed`, `machine-exited`, `machine-not-ready`, `unit-failed`,
 * `interrupted`, `program-failed`, `disk-full`
 */
export async function bootLab(request: BootRequest, parts: LabParts = ownParts): Promise<Lab> {
	const {name, plan, made, evidence} = request;
	const frozen = made.get(readyLabName)?.folder;
	const start = performance.now();
	const {folder, record: initial} = request.claim ?? await claimLab({name, scenario: request.scenario, makes: request.makes, labKey: labKey(plan)});
	const cleanup = createCleanup();
	cleanup.add(async () => removeLabFolder(folder));
	const log = openEventLog(path.join(folder, 'events.jsonl'));
	cleanup.add(async () => log.close());
	const events: EventSink = (event: LabEvent) => {
		log.sink(event);
		request.events(event);
	};

	const keeper = keepRecord(folder, initial);
	// What it could not write is in a folder that goes next.
	cleanup.add(async () => keeper.settled().catch(() => {}));
	const over = new AbortController();
	setMaxListeners(0, over.signal);
	const signal = AbortSignal.any([request.signal, over.signal]);
	setMaxListeners(0, signal);
	const secrets = openSecrets(folder);
	const powered = new Map<string, PoweredMachine>();
	const connections = new Set<SshConnection>();
	const prepared = new Map<string, PreparedMachine>();
	let memory: ReadonlyMap<string, string> = new Map();
	let fabric: Fabric | undefined;
	let links: LabLinks | undefined;
	let accelerator: Pick<AcceleratorProbe, 'accelerator' | 'readOnlyMemory'> | undefined;
	/** Machines whose power was cut on purpose, and what each was. */
	const unpowered = new Map<string, PoweredMachine>();
	/** How far each machine is, faults left out. */
	const states = new Map<string, MachineState>();
	let pace = 1;
	/** Milliseconds by which the guests' clock is ahead of this computer's. */
	let clockAhead = 0;
	let ready = false;
	let stopping = false;

	/** A lab that was ready and is broken now: told, and left to its owner. */
	const breakDown = async (error: LabError): Promise<void> => {
		if (ready && !over.signal.aborted) {
			events({type: 'lab', reason: 'failed', lab: name, error: error.toJSON()});
			await keeper.update(() => ({state: 'failed', error: error.toJSON()})).catch(() => {});
		}

		over.abort(error);
	};

	const watchEnd = async (machine: Machine): Promise<void> => {
		const end = await machine.ended;
		const expected = [...unpowered.values()].some((cut) => cut.machine === machine);
		events({type: 'machine', reason: 'exited', lab: name, machine: machine.name, code: end.code, signal: end.signal, ...(expected && {expected})});
		if (stopping || expected) {
			return;
		}

		void keeper.updateMachine(machine.name, {state: 'ended'}).catch(() => {});
		const consoleLog = path.join(folder, consoleLogOf(machine.name));
		await breakDown(failure.machineEnded(await machine.explainEnd(), await tailOf(consoleLog), consoleLog));
	};

	const reachOf = async (machine: string, port: number): Promise<MachineRecord['ssh']> => ({
		host: '127.0.0.1', port, user: 'root', hostKey: (await secrets.hostKey(machine)).publicKey,
	});

	const connect = async (machine: string, deadline: number, abort: AbortSignal | undefined): Promise<SshConnection> => {
		const reached = powered.get(machine);
		if (reached === undefined) {
			faults.checkRunning(machine);
			throw failure.unknownName('machine', machine, [...powered.keys()]);
		}

		const connection = await parts.connectSsh({
			port: reached.sshPort, hostKey: (await secrets.hostKey(machine)).publicKey, privateKey: (await secrets.loginKey()).privateKey,
			machine, deadline, signal: abort,
		});
		connections.add(connection);
		void connection.closed.then(() => connections.delete(connection));
		return connection;
	};

	const collect = async (target: string, abort: AbortSignal | undefined, ask: boolean, span: CaptureRequest['recorded'] = {}): Promise<void> => collectEvidence({
		folder, target, record: keeper.record, pace, signal: abort,
		...(fabric !== undefined && {frames: async (late: AbortSignal) => readCapture(await capture({recorded: span}), late)}),
		machines: plan.machines.map((machine) => ({
			name: machine.name,
			evidence: machine.evidence,
			...(ask && {connect: async (deadline: number, late: AbortSignal) => connect(machine.name, deadline, late)}),
		})),
	});

	const powerOnMachine = async (
		planned: PlannedMachine, prepared: PreparedMachine, probe: Pick<AcceleratorProbe, 'accelerator' | 'readOnlyMemory'>, memoryFile: string, abort: AbortSignal, again?: {before: PoweredMachine; clock: number},
	): Promise<Machine> => {
		const machine = await powerOn(prepared, {
			folder, plan, probe, memoryFile, maintenanceMac: planned.maintenanceMac, events, signal: abort, start: parts.startMachine, again,
		});
		powered.set(planned.name, machine);
		void watchEnd(machine.machine);
		machine.machine.qmp.onEvent(({event, data}) => {
			// QEMU stops a machine that writes where no room is left, and the machine would only seem to hang.
			if (event === 'BLOCK_IO_ERROR' && data['nospace'] === true) {
				void breakDown(failure.diskFull(folder));
			} else if (event === 'RESET') {
				faults.rebooted(planned.name, {byItself: data['guest'] === true});
			}
		});
		events({type: 'machine', reason: 'started', lab: name, machine: planned.name, pid: machine.machine.pid});
		states.set(planned.name, 'booting');
		await keeper.updateMachine(planned.name, {
			state: 'booting', pid: machine.machine.pid, process: machine.machine.identity, ssh: await reachOf(planned.name, machine.sshPort),
		});
		await keeper.update(({forwards}) => ({forwards: [...forwards.filter((forward) => forward.machine !== planned.name), ...machine.forwards]}));
		return machine.machine;
	};

	/** Takes down how far a machine is. One that is paused stays so meanwhile. */
	const tellState = async (machine: string, state: MachineState): Promise<void> => {
		states.set(machine, state);
		await keeper.updateMachine(machine, {state: faults.stateOf(machine)});
	};

	/** A machine that was powered on is watched until it answers; a fork has only to be connected to. */
	const awaitMachine = async (planned: PlannedMachine, abort: AbortSignal, isFork = false, consoleFrom = 0): Promise<void> => {
		const isStopped = (): boolean => faults.report().some(({machine, faults: {paused, disk}}) => machine === planned.name && (paused === true || disk === 'hung'));
		const awaited: AwaitedMachine & StartingMachine = {
			name: planned.name, folder, pace, events, signal: abort, consoleFrom,
			connect: async ({deadline, signal: late}) => connect(planned.name, deadline, late),
			reset: async () => {
				await powered.get(planned.name)?.machine.qmp.execute('system_reset');
			},
			isStopped,
			// A guest with nothing to do takes next to nothing of a processor that runs it itself.
			worked: async () => (isStopped() || accelerator?.accelerator !== 'tcg' ? undefined : processorTimeOf(powered.get(planned.name)!.machine.pid)),
		};
		const powerOnTime = performance.now();
		const seconds = (): number => (performance.now() - powerOnTime) / 1000;
		const connection = isFork ? await connect(planned.name, connectDeadline * pace, abort) : await awaitAnswer(awaited);
		events({type: 'machine', reason: 'answers', lab: name, machine: planned.name, seconds: seconds()});
		await tellState(planned.name, 'answers');
		await awaitReady(awaited, planned, connection);
		events({type: 'machine', reason: 'ready', lab: name, machine: planned.name, seconds: seconds()});
		await tellState(planned.name, 'ready');
	};

	const cutPower = async (machine: string): Promise<void> => {
		const before = powered.get(machine)!;
		unpowered.set(machine, before);
		powered.delete(machine);
		await before.machine.kill();
		await keeper.updateMachine(machine, {pid: null});
	};

	const plannedOf = (machine: string): PlannedMachine => plan.machines.find((planned) => planned.name === machine)!;
	const faults: LabFaults = openFaults({
		lab: name, machines: plan.machines.map((machine) => machine.name), pace: () => pace, signal,
		monitorOf: (machine) => powered.get(machine)!.machine.qmp,
		connect: async (machine, deadline, abort) => connect(machine, deadline, abort),
		forgetConnections(machine) {
			for (const connection of connections) {
				if (connection.machine === machine) {
					connection.close();
				}
			}
		},
		cutPower,
		async givePower(machine, abort) {
			const [planned, before, files, memoryFile] = [plannedOf(machine), unpowered.get(machine)!, prepared.get(machine)!, memory.get(machine) ?? ''];
			if (frozen === undefined) {
				// Memory without power has nothing in it, and what was in it is given back. That of a fork is a frozen lab's, and stays.
				await truncate(memoryFile, 0);
				await truncate(memoryFile, planned.memory);
			}

			try {
				await powerOnMachine(planned, files, accelerator!, memoryFile, abort, {before, clock: Date.now() + clockAhead});
				await links?.takeUp(machine);
				// Its ports may be others now.
				await writeKubeconfig();
				unpowered.delete(machine);
			} catch (error) {
				if (powered.has(machine)) {
					await cutPower(machine).catch(() => {});
				}

				throw error;
			}
		},
		async bringUp(machine, consoleFrom, abort) {
			await tellState(machine, 'booting');
			await awaitMachine(plannedOf(machine), abort, false, consoleFrom);
		},
		consoleLength: async (machine) => stat(path.join(folder, consoleLogOf(machine))).then(({size}) => size, () => 0),
		stateOf: (machine) => states.get(machine) ?? 'off',
		changed(machine, now) {
			void keeper.updateMachine(machine, {state: faults.stateOf(machine), faults: showFaults(now)}).catch(() => {});
		},
		tell(machine, event) {
			events({type: 'machine', lab: name, machine, ...event});
		},
		warn(text) {
			events({type: 'note', level: 'warning', text});
		},
	});

	/** What a fork's clock is set to, in milliseconds since 1970; undefined where it goes on from the freeze. */
	const newClock = (frozenAt: number): number | undefined =>
		(request.clock === 'host' ? Date.now() : request.clock === undefined ? undefined : frozenAt + request.clock.ahead);

	/** Lets all machines of a fork go on at once. */
	const letGo = async (frozenAt: number): Promise<void> => {
		const clock = newClock(frozenAt);
		await Promise.all([...powered.values()].map(async ({machine}) => machine.qmp.execute('cont')));
		clockAhead = (clock ?? frozenAt) - Date.now();
		await fabric?.release();
		await links?.takeUp();
		await together(signal, plan.machines.map(({name: machine, restartInForks: restart}) => async (abort) => tellFork({
			machine, socket: path.join(folder, forkSocket(machine)), clock, restart, deadline: connectDeadline * pace, restartDeadline: restartDeadline * pace, signal: abort,
		})));
		if (clock !== undefined) {
			await together(signal, plan.machines.map((planned) => async (abort) => awaitMachine(planned, abort, true)));
			return;
		}

		const seconds = (performance.now() - start) / 1000;
		for (const {name: machine} of plan.machines) {
			events({type: 'machine', reason: 'ready', lab: name, machine, seconds});
		}

		for (const {name: machine} of plan.machines) {
			states.set(machine, 'ready');
		}

		await keeper.update(({machines}) => ({machines: machines.map((machine) => ({...machine, state: 'ready' as const}))}));
	};

	/** Machines rarely touch all of their memory, so that too little is no reason to refuse them; but they may be slow, or ended by the kernel. */
	const warnOfMemory = async (): Promise<void> => {
		for (const {status, text, advice} of await checkMemory(plan.machines.reduce((sum, {memory}) => sum + memory, 0))) {
			if (status !== 'ok') {
				events({type: 'note', level: 'warning', text: advice === undefined ? text : `${text}. ${advice}`});
			}
		}
	};

	const openFabric = async (states: readonly NetworkState[] = []): Promise<void> => {
		const started = await parts.startFabric({
			folder,
			networks: fabricNetworks(plan, states),
		});
		fabric = started;
		cleanup.add(async () => started.stop());
		const opened = openLinks({
			machines: plan.machines, fabric: started,
			monitorOf: (machine) => powered.get(machine)?.machine.qmp,
			tell(link, event) {
				events({type: 'link', lab: name, link, ...event});
			},
		});
		links = opened;
		cleanup.add(async () => {
			opened.stop();
		});
		void started.ended.then(async (error) => (error === undefined || stopping ? undefined : breakDown(error)));
	};

	const boot = async (): Promise<string | undefined> => {
		events({type: 'lab', reason: 'starting', lab: name});
		const origin = frozen === undefined ? undefined : await readFrozenLab(frozen);
		if (frozen !== undefined && origin !== undefined) {
			await checkStates(frozen, origin);
			await checkValidity(frozen, newClock(origin.frozenAt) ?? origin.frozenAt);
			await copySecrets(frozen, folder);
		}

		const unstarted = await Promise.all(plan.machines.map(async ({name: machine, role, links}) => ({
			name: machine, role, state: 'off' as const, pid: null, addresses: links.flatMap(({addresses}) => addresses.map(({address}) => address)), ssh: await reachOf(machine, 0),
		})));
		await keeper.update(() => ({machines: unstarted, stages: Object.fromEntries([...made].map(([stage, {folder: place}]) => [stage, place]))}));
		await Promise.all(plan.machines.map(async (machine) => mkdir(path.join(folder, machine.name), {mode: 0o700})));
		signal.throwIfAborted();
		await warnOfMemory();
		if (frozen === undefined) {
			const reserved = await reserveMemory(folder, plan.machines, {signal});
			memory = reserved.files;
			if (reserved.folder !== folder) {
				cleanup.add(async () => rm(reserved.folder, {recursive: true, force: true}));
				await keeper.update(() => ({memoryFolder: reserved.folder}));
			}
		} else {
			// A fork's memory is its own where it differs from what was frozen, and that is in no file.
			memory = new Map(plan.machines.map((machine) => [machine.name, frozenMachine(frozen, machine.name).memory]));
		}

		// None of these waits for another.
		const found: {probe?: AcceleratorProbe} = {};
		await together(signal, [
			async (abort) => {
				found.probe = await parts.probeAccelerator({kernel: kernelOf(plan, made), signal: abort});
			},
			async () => openFabric(origin?.networks),
			...plan.machines.map((planned) => async (abort: AbortSignal) => {
				prepared.set(planned.name, await prepareMachine(planned, {name, folder, plan, made, secrets, frozen, signal: abort}));
			}),
		]);
		const probe = found.probe!;
		const {reason, speed} = probe;
		accelerator = probe;
		pace = paceOf(speed, plan.machines.reduce((sum, {cpus}) => sum + cpus, 0));
		if (probe.accelerator === 'tcg') {
			events({type: 'note', level: 'info', text: reason, once: true});
		}

		await keeper.update(() => ({state: 'booting', speed: pace}));
		events({type: 'lab', reason: frozen === undefined ? 'booting' : 'forking', lab: name});
		// A lab that broke is its owner's still, and its other machines go on.
		const logging = new AbortController();
		const limited = limitLogs(plan.machines.map(({name: machine}) => path.join(folder, consoleLogOf(machine))), {signal: logging.signal});
		cleanup.add(async () => {
			logging.abort();
			await limited;
		});
		cleanup.add(async () => allOf([...powered.values()].map(async ({machine}) => machine.powerOff())));
		cleanup.add(async () => faults.stop());
		await together(signal, plan.machines.map((planned) => async (abort) => {
			const machine = await powerOnMachine(planned, prepared.get(planned.name)!, probe, memory.get(planned.name) ?? '', abort);
			if (frozen === undefined) {
				await awaitMachine(planned, abort);
			} else {
				await loadDeviceState(machine, {cwd: folder, socket: stateSocket(planned.name), file: frozenMachine(frozen, planned.name).state, signal: abort});
			}
		}));
		signal.throwIfAborted();
		if (origin !== undefined) {
			await letGo(origin.frozenAt);
		}

		// One that was ready may have begun anew while others still booted.
		await together(signal, plan.machines.map(({name: machine}) => async (abort) => faults.settled(machine, abort)));

		// What was kept by name has its links as they were then; what is made once and shared is frozen without.
		if (origin?.plan.links === undefined) {
			for (const link of plan.links ?? []) {
				await links?.change({kind: 'impair', ...link});
			}
		}

		return writeKubeconfig();
	};

	const writeKubeconfig = async (): Promise<string | undefined> => {
		const {access} = plan;
		const port = keeper.record.forwards.find((forward) => forward.name === access?.forward)?.hostPort;
		if (access === undefined || port === undefined) {
			return undefined;
		}

		const file = path.join(folder, 'kubeconfig');
		await writeFileWhole(file, await makeKubeconfig(name, access, port, secrets), 0o600);
		return file;
	};

	const freezeNow = async (target: string, inputs: ReadyLabInputs, {goesOn}: {goesOn: boolean}): Promise<void> => {
		if (fabric === undefined || links === undefined) {
			throw new Error('a lab without networks cannot be frozen');
		}

		events({type: 'lab', reason: 'freezing', lab: name});
		if (!goesOn) {
			await together(signal, plan.machines.map(({name: machine}) => async (abort) => {
				const connection = await connect(machine, connectDeadline * pace, abort);
				await tidyGuest(connection, {isFork: frozen !== undefined, pace, signal: abort});
				connection.close();
			}));
			// QEMU's user network does not keep connections of the host: they end before.
			for (const connection of connections) {
				connection.close();
			}
		}

		const machines = plan.machines.flatMap(({name: machine, stages}) => {
			const running = powered.get(machine)?.machine;
			const files = prepared.get(machine);
			return running === undefined || files === undefined ? [] : [{
				machine: running,
				memory: memory.get(machine) ?? '',
				origin: frozen === undefined ? undefined : frozenMachine(frozen, machine).state,
				disk: files.disk,
				blankDisk: path.join(stageFolder(made, stages.disk), 'disk.qcow2'),
				initramfs: files.initramfs,
				consoleLog: path.join(folder, files.consoleLog),
			}];
		});
		let seconds = 0;
		const lab = {folder, plan, inputs, machines, fabric, clockAhead, signal};
		await links.unchanged(async () => freezeLab(lab, target, {
			goesOn,
			onStood(stood) {
				seconds = stood;
				// The guests' clock stood still too.
				clockAhead -= stood * 1000;
			},
		}));
		events({type: 'lab', reason: 'frozen', lab: name, ...(goesOn && {seconds})});
	};

	const traffic = async (): Promise<NetworkTraffic[]> => fabric?.traffic() ?? [];
	const linkReports = async (): Promise<LinkReport[]> => links?.report() ?? [];
	const noLinksYet = (): LabError => failure.usage(`The lab ${name} has no links yet: it is ${keeper.record.state}`, 'Its networks come up before its machines: try again in a moment.');
	const changeLink = async (change: LinkChange): Promise<LinkSetting> => {
		if (links === undefined) {
			throw noLinksYet();
		}

		return links.change(change);
	};

	const changeMachine = async (change: MachineChange, abort?: AbortSignal): Promise<void> => {
		if (!ready) {
			throw failure.usage(`The lab ${name} is ${keeper.record.state}: nothing can be done to its machines yet`, 'Wait until it is ready.');
		}

		await faults.change(change, abort);
		// Other processes see it from now on.
		await keeper.settled();
	};

	const machineReady = async (machine: string, abort?: AbortSignal): Promise<void> => faults.settled(machine, abort);
	const machineReports = async (): Promise<MachineReport[]> => faults.report();
	const capture = async (request: CaptureRequest): Promise<string> => {
		if (fabric === undefined) {
			throw noLinksYet();
		}

		return fabric.capture(request);
	};

	let frozenBefore: Promise<void> = Promise.resolve();
	/** One at a time: the end of one would let machines go on that stand still for another. */
	const freeze: Lab['freeze'] = async (target, inputs, options) => {
		const freezing = frozenBefore.catch(() => {}).then(async () => {
			signal.throwIfAborted();
			await faults.without(async () => freezeNow(target, inputs, options));
		});
		frozenBefore = freezing;
		return freezing;
	};

	let running: Lab | undefined;
	let isBooting = false;
	let bootOver = (): void => {};
	/** Resolves when the boot has ended, and what there is to see of one that failed was kept and told. */
	const bootEnded = new Promise<void>((resolve) => {
		bootOver = resolve;
	});
	let going: Promise<void> | undefined;
	let whenEnded = (): void => {};
	const ended = new Promise<void>((resolve) => {
		whenEnded = resolve;
	});
	/** Aborts when somebody waits for the lab's end; `over` may have done so before, for what broke the lab. */
	const hurry = new AbortController();
	const down = async (): Promise<void> => {
		going ??= (async () => {
			over.abort(failure.interrupted('the end of the lab'));
			hurry.abort(over.signal.reason);
			// Nothing may be started behind our back.
			if (isBooting) {
				await bootEnded;
			}

			stopping = true;
			events({type: 'lab', reason: 'stopping', lab: name});
			await keeper.update(() => ({state: 'stopping'})).catch(() => {});
			for (const connection of connections) {
				connection.close();
			}

			try {
				await cleanup.run();
			} finally {
				whenEnded();
			}
		})();
		return going;
	};

	try {
		const server = await serveLab(folder, {
			record: () => keeper.record,
			log,
			traffic,
			links: linkReports,
			changeLink,
			machineReports,
			changeMachine,
			machineReady,
			capture,
			async freeze(keptAs, abort) {
				if (running === undefined) {
					throw failure.labRuns(name, keeper.record.state);
				}

				if (signal.aborted) {
					throw interruption(signal);
				}

				const [{keepLab}, {openStore}] = await Promise.all([import('./kept-lab.ts'), import('../store/open-store.ts')]);
				// Machines go on as they would have; what was taken of them is kept only where somebody still wants it.
				return (await keepLab(running, 'frozen', keptAs, {store: await openStore(), events, signal: AbortSignal.any([signal, abort])})).bytes;
			},
			down() {
				over.abort(failure.interrupted('`vmlab down`'));
				// Whoever asked is told by the server when it is closed.
				void down().catch(() => {});
			},
		});
		// Undone when all machines have ended, and before the log and the folder go.
		cleanup.add(async (failed) => {
			events({type: 'lab', reason: 'ended', lab: name});
			await server.close(failed === undefined ? undefined : asLabError(failed).toJSON());
		});
		isBooting = true;
		try {
			const kubeconfig = await boot();
			await keeper.update(() => ({state: 'ready'}));
			// What broke until here broke the boot; from now on it breaks the lab.
			signal.throwIfAborted();
			ready = true;
			bootOver();
			events({type: 'lab', reason: 'ready', lab: name, seconds: (performance.now() - start) / 1000});
			running = {
				name, folder, plan, made, speed: pace, ...(kubeconfig !== undefined && {kubeconfig}),
				get forwards() {
					return keeper.record.forwards;
				},
				get record() {
					return keeper.record;
				},
				over: over.signal,
				ended,
				async ssh(machine, abort) {
					faults.checkRunning(machine);
					return connect(machine, connectDeadline * pace, abort);
				},
				traffic,
				links: linkReports,
				changeLink,
				machineReports,
				changeMachine,
				machineReady,
				capture,
				recording: async (since, abort) => receiveRecording(await capture({recorded: {since}}), abort),
				collectEvidence: async (target, abort, span) => collect(target, abort, true, span),
				freeze,
				down,
			};
			return running;
		} catch (thrown) {
			const failed = signal.aborted ? interruption(signal) : isDiskFull(thrown) ? failure.diskFull(folder, thrown) : asLabError(thrown);
			// After Ctrl-C somebody waits: then only what is on this computer is kept.
			const ask = failed.kind !== 'interrupted';
			const late = graceAfter(AbortSignal.any([request.signal, hurry.signal]), hurriedEvidence);
			const error = await keepEvidence(failed, {folder, collect: powered.size === 0 ? undefined : async (target) => collect(target, late, ask)}, {
				folder: evidence, scenario: request.scenario ?? name, events,
			});
			events({type: 'lab', reason: 'failed', lab: name, error: error.toJSON()});
			await keeper.update(() => ({state: 'failed', error: error.toJSON()})).catch(() => {});
			bootOver();
			if (request.supervised === true) {
				await server.awaitWatcher(watcherDeadline);
			}

			throw error;
		}
	} catch (error) {
		bootOver();
		await down().catch(() => {});
		throw error;
	}
}

/** No room, or no more of it for this user: errno(3). */
function isDiskFull(thrown: unknown): boolean {
	return thrown instanceof Error && 'code' in thrown && (thrown.code === 'ENOSPC' || thrown.code === 'EDQUOT');
}
