/** `vmlab run`: build, boot, run the steps, report. */
import {rm} from 'node:fs/promises';
import path from 'node:path';
import {makeStages} from '../build/make.ts';
import {preparePlan} from '../build/prepare.ts';
import type {EventSink} from '../event/event.ts';
import {asLabError, exitCodes, type LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {folders} from '../host/folder.ts';
import type {Plan} from '../plan/plan.ts';
import {formatSeconds} from '../report/duration.ts';
import {renderError} from '../report/error-text.ts';
import {hasColor} from '../report/terminal.ts';
import {attachLab} from '../runtime/attached-lab.ts';
import {bootLab} from '../runtime/lab.ts';
import {makeReadyLab} from '../runtime/ready-lab.ts';
import {clearDeadLabs} from '../runtime/reaper.ts';
import {startLab} from '../runtime/supervisor-client.ts';
import {withLab} from '../runtime/with-lab.ts';
import type {ScenarioLab} from '../scenario/scenario-lab.ts';
import {runScenario} from '../scenario/runner.ts';
import {loadScenario, type LoadedScenario} from '../spec/load.ts';
import {openStore} from '../store/open-store.ts';
import type {Store} from '../store/store.ts';
import {print, say} from './output.ts';
import {promptInLab} from './prompt.ts';
import {withReport} from './reporting.ts';
import {addSettings} from './settings.ts';
import {defineVerb} from './verb.ts';

/** What came of one scenario. */
interface Result {
	readonly scenario: string;
	readonly passed: boolean;
	readonly seconds: number;
	/** Where its evidence is, where any was collected: when a machine had been started. */
	readonly evidence?: string;
	readonly error?: LabError;
	/** Did the report show the error in full already? */
	readonly told: boolean;
}

interface Prepared {
	readonly name: string;
	readonly loaded: LoadedScenario;
	readonly plan: Plan;
}

interface Work {
	readonly store: Store;
	readonly events: EventSink;
	readonly signal: AbortSignal;
	/** The folder that evidence goes below. */
	readonly evidence: string;
	readonly keep: boolean;
	readonly cold: boolean;
	readonly stop: boolean;
}

export const verb = defineVerb({
	options: (command) => addSettings(command.positional('scenarios', {type: 'string', array: true, demandOption: true, describe: 'Their names'}))
		.option('report', {type: 'string', requiresArg: true, describe: 'Write events.jsonl, junit.xml, report.html and evidence/ to this folder'})
		.option('jobs', {alias: 'j', type: 'number', requiresArg: true, default: 1, describe: 'How many at once'})
		.option('keep', {type: 'boolean', default: false, describe: 'Leave the lab up'})
		.option('cold', {type: 'boolean', default: false, describe: 'Boot the lab, instead of forking one that was frozen when it was ready'})
		.option('break', {type: 'boolean', default: false, describe: 'Stop at the first failed step with the lab alive and a prompt'}),
	async run({scenarios, set, report, jobs, keep, cold, break: stop}, {signal, output, outputChosen}) {
		if (!Number.isInteger(jobs) || jobs < 1) {
			throw failure.usage(`--jobs is a number from 1, not \`${jobs}\``);
		}

		const [store] = await Promise.all([openStore(), clearDeadLabs()]);
		// All plans first: a typing error in the last one is told before an hour of work.
		const prepared = await Promise.all([...new Set(scenarios)].map(async (name): Promise<Prepared> => {
			const loaded = await loadScenario(name);
			return {name, loaded, plan: await preparePlan(loaded.scenario.lab, {settings: set, file: loaded.file})};
		}));
		const evidence = report === undefined ? path.join(folders().state, 'evidence') : path.join(path.resolve(report), 'evidence');
		if (report !== undefined) {
			// All in a report is of one run. Elsewhere evidence stays until a later run fails too: somebody may look at it.
			await Promise.all(prepared.map(async ({name}) => rm(path.join(evidence, name), {recursive: true, force: true})));
		}

		const results: Result[] = [];
		await withReport(report === undefined ? undefined : path.resolve(report), async (events) => {
			const waiting = [...prepared];
			await Promise.all(Array.from({length: Math.min(jobs, prepared.length)}, async () => {
				for (let next = waiting.shift(); next !== undefined && !signal.aborted; next = waiting.shift()) {
					results.push(await runOne(next, {store, events, signal, evidence, keep, cold, stop}));
				}
			}));
		});
		for (const {error, told} of results) {
			// An interruption is told once, when the command ends with it.
			if (error !== undefined && !told && !(error.kind === 'interrupted' && signal.aborted)) {
				say(renderError(error.toJSON(), {color: hasColor(process.stderr)}));
			}
		}

		summarize(results, prepared.length, report);
		if (outputChosen) {
			await print(output, results.map(({told: _told, ...result}) => result), (all) => ({
				columns: ['SCENARIO', 'RESULT', 'TIME'],
				rows: all.map((result) => [result.scenario, result.passed ? 'passed' : 'failed', formatSeconds(result.seconds)]),
			}));
		}

		signal.throwIfAborted();
		return results.find(({passed}) => !passed)?.error?.exitCode ?? exitCodes.done;
	},
});

function summarize(results: readonly Result[], wanted: number, report: string | undefined): void {
	const passed = results.filter((result) => result.passed).length;
	say(`${passed} of ${wanted} ${wanted === 1 ? 'scenario' : 'scenarios'} passed${report === undefined ? '' : `; report: ${path.join(report, 'report.html')}`}`);
}

async function runOne({name, loaded, plan}: Prepared, work: Work): Promise<Result> {
	const {store, signal, keep, cold, stop} = work;
	const start = performance.now();
	let told = false;
	let evidence: string | undefined;
	const events: EventSink = (event) => {
		told ||= event.type === 'scenario' && event.reason === 'failed' && event.scenario === name;
		evidence = event.type === 'evidence' && event.scenario === name ? event.path : evidence;
		work.events(event);
	};

	const folder = path.join(work.evidence, name);
	const seconds = (): number => (performance.now() - start) / 1000;
	const runSteps = async (lab: ScenarioLab): Promise<void> => {
		try {
			await runScenario({name, scenario: loaded.scenario, lab, events, signal, evidence: folder});
		} catch (error) {
			if (stop && !signal.aborted) {
				await promptInLab(lab, asLabError(error), signal);
			}

			throw error;
		}
	};

	try {
		const stages = await makeStages(plan, {store, events, signal});
		const made = cold ? stages : await makeReadyLab({plan, made: stages, store, events, signal, evidence: folder});
		const request = {name, scenario: name, plan, made, events, signal, evidence: folder};
		if (keep) {
			// With a supervisor of its own, so that it goes on when we end.
			const record = await startLab(request);
			events({type: 'note', level: 'info', text: `The lab ${name} stays up; \`vmlab down ${name}\` ends it.`});
			const lab = attachLab(record, plan, made);
			try {
				await runSteps(lab);
			} finally {
				lab.detach();
			}
		} else {
			await withLab(await bootLab(request), events, runSteps);
		}

		return {scenario: name, passed: true, seconds: seconds(), told};
	} catch (error) {
		return {scenario: name, passed: false, seconds: seconds(), error: asLabError(error), told, ...(evidence !== undefined && {evidence})};
	}
}
