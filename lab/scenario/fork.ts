/** Forked labs for other test runners: a running lab as a fixture, with the words of a scenario's steps. */
import {preparePlan} from '../build/prepare.ts';
import {type EventSink, noEvents} from '../event/event.ts';
import {failure} from '../host/failure.ts';
import {makeChain} from '../runtime/chain.ts';
import {bootLab} from '../runtime/lab.ts';
import {checkLabName} from '../runtime/lab-record.ts';
import type {ForkClock} from '../runtime/lab-request.ts';
import {clearDeadLabs} from '../runtime/reaper.ts';
import type {LabDeclaration} from '../spec/lab.ts';
import {loadScenario} from '../spec/load.ts';
import type {LabTopology} from '../spec/topology.ts';
import {type Duration, milliseconds} from '../spec/units.ts';
import {openStore} from '../store/open-store.ts';
import {openCluster} from './cluster-handle.ts';
import {openFabric} from './fabric-handle.ts';
import {openFlows} from './flow-query.ts';
import {openMachines} from './machine-handle.ts';
import {openStepScope} from './step-scope.ts';
import type {ClusterHandle, FabricHandle, MachineHandle} from './scenario.ts';

/** How a lab is forked. */
export interface ForkOptions {
	/** The name of the lab; default: one that no other has. */
	readonly name?: string;
	/** As on the command line: `overlay.option=value`. */
	readonly settings?: readonly string[];
	/** What time it is in it: the host's, or a jump ahead of when it was frozen; default: its clock goes on from then. With it, machines become ready anew. */
	readonly clock?: 'host' | Duration;
	/** Told of all that happens, also while the stages are made for the first time. */
	readonly events?: EventSink;
	/** Ends it, and the making of stages. */
	readonly signal?: AbortSignal;
	/** A folder for the machines' evidence when the boot fails. */
	readonly evidence?: string;
}

/** A running lab that belongs to this process, and ends with it at the latest. */
export interface ForkedLab extends AsyncDisposable {
	readonly name: string;
	readonly lab: LabTopology;
	/** How many times slower than under KVM things are: for one's own deadlines. At least 1. */
	readonly speed: number;
	/** A machine by name; throws `unknown-machine`. A fault of it holds until it is ended. */
	machine(name: string): MachineHandle;
	/** Its parts throw `no-cluster` in a lab that has none. */
	readonly cluster: ClusterHandle;
	/** Its networks and links; what is set on a link holds until something else is. Flows are those since it was forked. */
	readonly fabric: FabricHandle;
	/** Aborts when the lab cannot go on; the reason says why. */
	readonly over: AbortSignal;
	/** Collects evidence of all machines into a folder: for a test that failed. */
	collectEvidence(folder: string): Promise<void>;
	/** Ends the lab. Also what `await using` does. */
	down(): Promise<void>;
}

let count = 0;

/**
 * Gives a private running copy of a lab, ready for use. The first time, all that is missing is built, and the lab is booted and frozen, which takes
 * minutes; then it takes a second or two.
 *
 * @param lab a scenario's name, or a lab
 * @throws declaration errors, and all that can fail when a lab is built and booted
 */
export async function fork(lab: string | LabDeclaration, options: ForkOptions = {}): Promise<ForkedLab> {
	const {settings = [], clock: time, events = noEvents, signal = new AbortController().signal, evidence} = options;
	const name = options.name ?? `fork-${process.pid}-${count++}`;
	checkLabName(name);
	const [store, plan] = await Promise.all([
		openStore(),
		typeof lab === 'string'
			? loadScenario(lab).then(async ({scenario, file}) => preparePlan(scenario.lab, {settings, file}))
			: preparePlan(lab, {settings}),
		clearDeadLabs(),
	]);
	const clock: ForkClock | undefined = time === undefined || time === 'host' ? time : {ahead: milliseconds(time)};
	const scenario = typeof lab === 'string' ? lab : undefined;
	const made = await makeChain({plan, store, events, signal, evidence, scenario});
	const running = await bootLab({name, scenario, plan, made, events, signal, clock, evidence});
	const began = Date.now();
	const ending = new AbortController();
	const both = AbortSignal.any([ending.signal, running.over]);
	// It has no steps: what is set holds until something else is.
	const scope = openStepScope(both);
	const machines = openMachines(running, both, scope);
	const down = async (): Promise<void> => {
		ending.abort(failure.interrupted('the end of the lab'));
		await machines.close();
		await running.down();
	};

	return {
		name,
		lab: plan.topology,
		speed: running.speed,
		machine: (machine) => machines.handle(machine),
		cluster: openCluster(running, both),
		fabric: {...openFabric(running, scope), ...openFlows(running, () => began, both)},
		over: running.over,
		collectEvidence: async (folder) => running.collectEvidence(folder),
		down,
		[Symbol.asyncDispose]: down,
	};
}
