/** One run of one scenario: build, boot or fork, run the steps, take the lab down. */
import path from 'node:path';
import {type EventSink, ofScenario} from '../event/event.ts';
import {asLabError, type LabError} from '../host/error.ts';
import type {Plan} from '../plan/plan.ts';
import {attachLab} from '../runtime/attached-lab.ts';
import {makeChain} from '../runtime/chain.ts';
import {bootLab} from '../runtime/lab.ts';
import type {ForkClock, LabRequest} from '../runtime/lab-request.ts';
import {startLab} from '../runtime/supervisor-client.ts';
import {withLab} from '../runtime/with-lab.ts';
import {type Checkpoint, keepBeforeSteps} from '../scenario/checkpoint.ts';
import type {ScenarioLab} from '../scenario/scenario-lab.ts';
import {runScenario, type ScenarioRun} from '../scenario/runner.ts';
import type {LoadedScenario} from '../spec/load.ts';
import type {Store} from '../store/store.ts';
import {promptInLab} from './prompt.ts';

/** What came of one run. */
export interface RunResult {
	/** The scenario's name; with a number where it runs several times. */
	readonly scenario: string;
	readonly passed: boolean;
	readonly seconds: number;
	/** Where its evidence is, where any was collected: when a machine had been started. */
	readonly evidence?: string;
	readonly error?: LabError;
	/** Did the report show the error in full already? */
	readonly told: boolean;
}

/** A run that is to be. */
export interface PreparedRun {
	/** Of the run, and of its lab: the scenario's, with a number where it runs several times. */
	readonly name: string;
	readonly scenario: string;
	readonly loaded: LoadedScenario;
	readonly plan: Plan;
}

/** How all runs are run. */
export interface RunWork {
	readonly store: Store;
	readonly events: EventSink;
	readonly signal: AbortSignal;
	/** The folder that evidence goes below. */
	readonly evidence: string;
	/** The lab stays up. */
	readonly keep: boolean;
	/** The lab is booted and not forked. */
	readonly cold: boolean;
	/** A failed step opens a prompt. */
	readonly stop: boolean;
	/** The scenario's change is made, and must turn it red. */
	readonly mutate: boolean;
	readonly clock?: ForkClock | undefined;
	/** What the names of checkpoints begin with, where there are to be any. */
	readonly checkpoints?: string | undefined;
	/** Where it goes on from. */
	readonly from?: Checkpoint | undefined;
}

/** Runs it to its end. Does not throw: what failed is in the result. */
export async function runPrepared({name, scenario, loaded, plan: declared}: PreparedRun, work: RunWork): Promise<RunResult> {
	const {store, signal, keep, cold, stop, mutate, checkpoints, clock, from} = work;
	const plan = from?.plan ?? declared;
	const start = performance.now();
	let told = false;
	let evidence: string | undefined;
	const events = ofScenario(name, (event) => {
		told ||= event.type === 'scenario' && event.reason === 'failed' && event.scenario === name;
		evidence = event.type === 'evidence' && event.scenario === name ? event.path : evidence;
		work.events(event);
	});

	const folder = path.join(work.evidence, name);
	const seconds = (): number => (performance.now() - start) / 1000;
	const runSteps = async (lab: ScenarioLab, before?: ScenarioRun['before']): Promise<void> => {
		try {
			await runScenario({
				name, scenario: loaded.scenario, lab, events, signal, evidence: folder,
				mutate, ...(before && {before}), ...(from && {recalled: from.passed}),
			});
		} catch (error) {
			if (stop && !signal.aborted) {
				await promptInLab(lab, asLabError(error), signal);
			}

			throw error;
		}
	};

	try {
		const made = from?.made ?? await makeChain({plan, store, events, signal, evidence: folder, scenario, cold});
		const request: LabRequest = {name, scenario, plan, made, events, signal, clock, evidence: folder};
		if (keep) {
			// With a supervisor of its own, so that it goes on when we end.
			const record = await startLab(request);
			events({type: 'note', level: 'info', text: `The lab ${name} stays up; \`vmlab down ${name}\` ends it.`});
			const lab = attachLab(record, plan, made, events);
			try {
				await runSteps(lab);
			} finally {
				lab.detach();
			}
		} else {
			await withLab(await bootLab(request), events, async (lab) =>
				runSteps(lab, checkpoints === undefined ? undefined : keepBeforeSteps(lab, `${name}-${checkpoints}`, scenario, {store, events})));
		}

		return {scenario: name, passed: true, seconds: seconds(), told};
	} catch (error) {
		return {scenario: name, passed: false, seconds: seconds(), error: asLabError(error), told, ...(evidence !== undefined && {evidence})};
	}
}
