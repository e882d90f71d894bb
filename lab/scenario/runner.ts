/** Runs a scenario's steps against a running lab. */
import type {EventSink} from '../event/event.ts';
import {asLabError, LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {interruption} from '../host/interruption.ts';
import {longestTimer, timeLimit, until, untilAborted} from '../host/wait.ts';
import {milliseconds, type Duration} from '../spec/units.ts';
import {asStepFailure} from './claim.ts';
import {collectEvidence} from './cluster-evidence.ts';
import {openCluster} from './cluster-handle.ts';
import {withCommandSignal} from './command-scope.ts';
import {type LinkHandle, openFabric} from './fabric-handle.ts';
import {openFlows} from './flow-query.ts';
import {refuseForeignFrames, withForeignFrame} from './foreign-frames.ts';
import {openMachines} from './machine-handle.ts';
import {mutate} from './mutation.ts';
import {onNotAwaited} from './not-awaited.ts';
import type {MachineHandle, ScenarioDeclaration, StepContext} from './scenario.ts';
import type {ScenarioLab} from './scenario-lab.ts';
import {openStepScope, type StepScope} from './step-scope.ts';
import {Story, type StoryOptions} from './story.ts';
import {topologyEvent} from './topology-event.ts';

/** What a scenario is run with. */
export interface ScenarioRun {
	readonly name: string;
	readonly scenario: ScenarioDeclaration;
	readonly lab: ScenarioLab;
	readonly events: EventSink;
	/** Ctrl-C: the scenario ends as interrupted. */
	readonly signal: AbortSignal;
	/** A folder for what is collected when the scenario fails; without it nothing is collected. */
	readonly evidence?: string;
	/** Called before each step, with the steps that passed so far. */
	readonly before?: StoryOptions['before'];
	/** Steps that are not run again: they passed in what the lab is a fork of. */
	readonly recalled?: StoryOptions['recalled'];
	/** Makes the scenario's change; then it passes when the step fails that must. Default false. */
	readonly mutate?: boolean;
}

/** Deadlines that are so many times longer than declared are told. */
const toldSpeed = 2;
/** For `eventually` without options. */
const defaultDeadline: Duration = '30s';
const defaultInterval: Duration = '1s';
/** How long evidence may take at KVM speed after a failure. */
const evidenceTime: Duration = '60s';
/** How long it may take after Ctrl-C or `vmlab down`, on any machine: somebody waits. */
const hurriedEvidenceTime: Duration = '10s';

/**
 * Runs a scenario to its end. The lab is left as it is: whoever booted it takes it down.
 *
 * @throws `step-failed` (kind scenario: the claim failed), `foreign-frame`, `mutation-survived`, `mutation-missed`, `no-steps`, `step-misused`, `not-awaited`, `budget-exceeded` (kind timeout),
 * a failure of kind machine (the machine broke), or `interrupted`; the same is told as event
 */
export async function runScenario(run: ScenarioRun): Promise<void> {
	const {name, scenario, lab} = run;
	const mutation = run.mutate && scenario.mutation !== undefined ? mutate(scenario.mutation, run.events) : undefined;
	const events = mutation?.events ?? run.events;
	// It takes a while to load, and only whoever runs a scenario needs it.
	const {$} = await import('zx');
	const start = performance.now();
	const began = Date.now();
	const budget = milliseconds(scenario.budget) * lab.speed;
	const ending = new AbortController();
	const story = new Story(name, events, ending.signal, {
		async before(title, passed, abort) {
			await mutation?.before(title, context());
			await run.before?.(title, passed, abort);
		},
		recalled: run.recalled,
	});
	/** Who may end the scenario: Ctrl-C, and the lab when a machine of it breaks. */
	const enders = [run.signal, ...(lab.over === undefined ? [] : [lab.over])];
	const end = (): void => {
		ending.abort(interruption(enders.find(({aborted}) => aborted)!));
	};

	events(topologyEvent(lab.name, lab.plan.topology));
	events({type: 'scenario', reason: 'started', scenario: name, summary: scenario.summary, lab: lab.name});
	const alarm = setTimeout(() => {
		ending.abort(failure.budgetExceeded(name, budget / 1000, story.running));
	}, Math.min(budget, longestTimer));
	for (const ender of enders) {
		ender.addEventListener('abort', end, {once: true});
	}

	const forget = onNotAwaited((reason) => {
		const when = story.running.length === 0 ? 'outside of the steps' : `during "${story.running.join(' / ')}"`;
		ending.abort(failure.notAwaited(asStepFailure(when, reason)));
	});
	const scope = openStepScope(ending.signal);
	const machines = openMachines(lab, ending.signal, scope);
	const fabric = openFabric(lab, scope);
	let opened: StepContext | undefined;
	const context = (): StepContext => {
		opened ??= createContext({...run, events}, {story, machine: machines.handle, scope, fabric, host: $, signal: ending.signal, began});
		return opened;
	};

	if (lab.speed >= toldSpeed) {
		events({type: 'note', level: 'info', text: `Deadlines are ${Math.round(lab.speed)} times what is declared here, where guests are slower and share processors: the budget of ${scenario.budget} is ${budget < 120_000 ? `${Math.round(budget / 1000)} s` : `${Math.round(budget / 60_000)} min`}`});
	}

	/** The end of a scenario that did what it should. */
	const pass = (): void => {
		events({type: 'scenario', reason: 'passed', scenario: name, seconds: (performance.now() - start) / 1000});
	};

	try {
		if (enders.some(({aborted}) => aborted)) {
			end();
		}

		ending.signal.throwIfAborted();
		await untilAborted(scenario.steps(context()), ending.signal);
		story.finish();
		// After a negative control nobody has looked.
		await untilAborted(refuseForeignFrames(lab, began), ending.signal);
		const survived = mutation?.verdict(undefined);
		if (survived !== undefined) {
			throw survived;
		}

		pass();
	} catch (thrown) {
		const seconds = (performance.now() - start) / 1000;
		const failedAt = Date.now();
		const cause = verdict(thrown, ending.signal);
		const error = mutation === undefined || cause.code === 'mutation-survived' ? cause : mutation.verdict(cause);
		// What the script still does in the background ends here, before anything is collected.
		story.abandon(cause);
		ending.abort(cause);
		clearTimeout(alarm);
		if (error === undefined) {
			pass();
			return;
		}

		if (run.evidence !== undefined) {
			if (error.kind === 'interrupted') {
				events({type: 'note', level: 'info', text: 'Collecting evidence from the machines first'});
			}

			try {
				const files = await collectEvidence(lab, run.evidence, evidenceLimit(milliseconds(evidenceTime) * lab.speed, error.kind === 'interrupted' ? AbortSignal.abort() : run.signal), {...(story.began !== undefined && {since: story.began}), until: failedAt});
				events({type: 'evidence', scenario: name, path: run.evidence, files});
			} catch (lost) {
				// What the scenario failed with counts, not what befell the search for its reason.
				events({type: 'note', level: 'warning', text: `No evidence could be collected: ${asLabError(lost).message}`});
			}
		}

		events({type: 'scenario', reason: 'failed', scenario: name, seconds, error: error.toJSON()});
		throw error;
	} finally {
		clearTimeout(alarm);
		for (const ender of enders) {
			ender.removeEventListener('abort', end);
		}

		ending.abort(failure.interrupted('the end of the scenario'));
		await machines.close();
		// Of a lab that is over there is nothing any more.
		await scope.close().catch((error: unknown) => {
			if (lab.over?.aborted !== true) {
				events({type: 'note', level: 'warning', text: `What was changed could not be put back: ${asLabError(error).message}`});
			}
		});
		forget();
	}
}

/** Aborts when evidence has taken long enough, in milliseconds: sooner where somebody waits, from when they do. */
function evidenceLimit(time: number, interruption: AbortSignal): AbortSignal {
	const limit = new AbortController();
	const hurry = (): void => {
		timeLimit(milliseconds(hurriedEvidenceTime)).addEventListener('abort', () => {
			limit.abort();
		});
	};

	if (interruption.aborted) {
		hurry();
	} else {
		interruption.addEventListener('abort', hurry, {once: true});
	}

	return AbortSignal.any([limit.signal, timeLimit(time)]);
}

/** What the scenario failed with: why it was ended counts more than what its steps rejected with because of that. */
function verdict(thrown: unknown, signal: AbortSignal): LabError {
	if (signal.aborted) {
		return asLabError(signal.reason);
	}

	// What the script rejects with outside of any step is its own claim too.
	return thrown instanceof LabError ? thrown : asStepFailure('outside of the steps', thrown);
}

function createContext(run: ScenarioRun, parts: {story: Story; machine: (name: string) => MachineHandle; scope: StepScope; fabric: LinkHandle; host: StepContext['host']; signal: AbortSignal; began: number}): StepContext {
	const {lab, events} = run;
	const {story, machine, scope, fabric, host, signal, began} = parts;
	const cluster = openCluster(lab, signal);
	return {
		lab: lab.plan.topology,
		machine,
		machines: (role) => lab.plan.topology.machines.filter((candidate) => candidate.role === role).map(({name}) => machine(name)),
		node: machine,
		router: machine,
		tester: machine,
		cluster,
		fabric: {...fabric, ...openFlows(lab, () => story.began ?? began, signal)},
		host: host({signal, quiet: true, killSignal: 'SIGTERM'}),
		step: (title, steps) => story.step(title, async () => {
			const value = await scope.within(steps).catch(async (thrown: unknown) => {
				throw await withForeignFrame(lab, began, asStepFailure(title, thrown));
			});
			await refuseForeignFrames(lab, began);
			return value;
		}),
		async eventually(sentence, observe, options = {}) {
			const deadline = milliseconds(options.deadline ?? defaultDeadline) * lab.speed;
			const over = new AbortController();
			const alarm = setTimeout(() => {
				over.abort();
			}, Math.min(deadline, longestTimer));
			let seen: unknown;
			const look = async (): Promise<Awaited<ReturnType<typeof observe>>> => {
				try {
					return await withCommandSignal(over.signal, observe);
				} catch (error) {
					// A command that the deadline cut short says nothing about what is waited for: the look before it does.
					seen = error instanceof LabError && error.code === 'command-cut-short' ? seen ?? error : error;
					throw seen;
				}
			};

			try {
				return await until(sentence, async () => ({met: true, value: await look()}), {
					deadline, interval: milliseconds(options.interval ?? defaultInterval), signal, events,
				});
			} finally {
				clearTimeout(alarm);
			}
		},
		refuted: (sentence, check) => story.refuted(sentence, check, scope.within),
		note(text) {
			events({type: 'note', level: 'info', text});
		},
		signal,
	};
}
