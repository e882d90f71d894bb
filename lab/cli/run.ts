/** `vmlab run`: build, boot or fork, run the steps, report. */
import {rm} from 'node:fs/promises';
import path from 'node:path';
import {preparePlan} from '../build/prepare.ts';
import {exitCodes} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {folders} from '../host/folder.ts';
import {formatSeconds} from '../report/duration.ts';
import {checkLabName, fitLabName} from '../runtime/lab-record.ts';
import {listLabs} from '../runtime/labs.ts';
import {clearDeadLabs} from '../runtime/reaper.ts';
import {findCheckpoint} from '../scenario/checkpoint.ts';
import {labNameOf, listRuns, loadScenario} from '../spec/load.ts';
import {openStore} from '../store/open-store.ts';
import {clockOption, parseClock} from './clock.ts';
import {wholeNumber} from './option-values.ts';
import {print, say} from './output.ts';
import {checkTerminal} from './prompt.ts';
import {withReport} from './reporting.ts';
import {type PreparedRun, runPrepared, type RunResult} from './run-scenario.ts';
import {addSettings} from './settings.ts';
import {showError} from './show-error.ts';
import {defineVerb} from './verb.ts';

export const verb = defineVerb({
	options: (command) => addSettings(command.positional('scenarios', {type: 'string', array: true, default: [], describe: 'Their names; NAME@VARIANT for a variant'}))
		.option('all', {type: 'boolean', default: false, describe: 'All scenarios, with all their variants'})
		.option('report', {type: 'string', requiresArg: true, describe: 'Write events.jsonl, junit.xml, report.html and evidence/ to this folder'})
		.option('jobs', {alias: 'j', type: 'string', requiresArg: true, default: '1', describe: 'How many at once'})
		.option('keep', {type: 'boolean', default: false, describe: 'Leave the lab up'})
		.option('cold', {type: 'boolean', default: false, describe: 'Boot the lab, instead of forking one that was frozen when it was ready'})
		.option('clock', clockOption)
		.option('repeat', {type: 'string', requiresArg: true, default: '1', describe: 'Run each so often, each time on a fresh lab, and tell how often it failed'})
		.option('checkpoint', {type: 'boolean', default: false, describe: 'Keep the lab as it is before each step'})
		.option('from', {type: 'string', requiresArg: true, describe: 'Enter the scenario again before a step: RUN/STEP of a checkpoint'})
		.option('mutate', {type: 'boolean', default: false, describe: 'Make the change that must turn the scenario red, and pass when it does, at the step that must'})
		.option('break', {type: 'boolean', default: false, describe: 'Stop at the first failed step with the lab alive and a prompt'}),
	async run({scenarios: named, all, set, report, jobs: givenJobs, keep, cold, repeat: givenRepeat, checkpoint, from, clock: time, mutate, break: stop}, {signal, output, outputChosen}) {
		const [jobs, repeat] = [wholeNumber('jobs', givenJobs), wholeNumber('repeat', givenRepeat)];

		if (all === (named.length > 0)) {
			throw failure.usage(all ? '--all means every scenario, so none is named beside it' : 'Which scenario is to run?', 'Name one or more, or say --all; `vmlab list --scenarios` shows them.');
		}

		if (mutate && (checkpoint || from !== undefined)) {
			throw failure.usage(`--mutate does not go together with ${checkpoint ? '--checkpoint' : '--from'}`, 'Its change is made in a lab of its own, from the first step on.');
		}

		if (stop) {
			checkTerminal();
			if (jobs > 1) {
				throw failure.usage('--break stops at one prompt, and --jobs runs several at once', 'Leave one of them out.');
			}
		}

		const clock = parseClock(time, cold);
		if (keep && repeat > 1) {
			throw failure.usage('--keep leaves one lab up, and --repeat has many', 'Leave one of them out.');
		}

		if (keep && checkpoint) {
			throw failure.usage('--keep and --checkpoint do not go together', 'Checkpoints are of labs that the run itself owns: leave --keep out.');
		}

		if (cold && from !== undefined) {
			throw failure.usage('--cold boots the lab, and --from goes on with one', 'Leave one of them out.');
		}

		if (from !== undefined && set.length > 0) {
			throw failure.usage('--from goes on with the lab of a checkpoint, and --set is for another one', 'Leave one of them out.');
		}

		const [store] = await Promise.all([openStore(), clearDeadLabs()]);
		// All plans first, and the names of the labs: a typing error in the last one is told before an hour of work.
		const scenarios = [...new Set(all ? await listRuns() : named)];
		const prepared = await Promise.all(scenarios.map(async (name): Promise<PreparedRun> => {
			const loaded = await loadScenario(name);
			if (mutate && loaded.scenario.mutation === undefined) {
				throw failure.usage(`The scenario ${name} has no mutation`, 'It declares one with `mutation`, see the README.');
			}

			const common = `${labNameOf(name)}${mutate ? '-mutated' : ''}`;
			checkLabName(fitLabName(common));
			return {name: common, scenario: name, loaded, plan: await preparePlan(loaded.scenario.lab, {settings: set, file: loaded.file})};
		}));
		const origin = from === undefined ? undefined : await findCheckpoint(from, store, signal);
		const foreign = prepared.find(({scenario}) => origin !== undefined && scenario !== origin.scenario);
		if (foreign !== undefined) {
			throw failure.usage(`The checkpoint ${from} is one of the scenario ${origin?.scenario}, not of ${foreign.scenario}`);
		}

		const runs = prepared.flatMap((run) => Array.from({length: repeat}, (_, index) => ({...run, name: fitLabName(run.name, repeat === 1 ? '' : `-${index + 1}`)})));
		const inTheWay = (await listLabs()).find((lab) => runs.some((run) => run.name === lab.name));
		if (inTheWay !== undefined) {
			throw failure.labRuns(inTheWay.name, inTheWay.state);
		}

		const evidence = report === undefined ? path.join(folders().state, 'evidence') : path.join(path.resolve(report), 'evidence');
		if (report !== undefined) {
			// It would be taken for this run's; the reports themselves are written anew. What else is in the folder may be anybody's.
			await Promise.all(runs.map(async ({name}) => rm(path.join(evidence, name), {recursive: true, force: true})));
		}

		const results: RunResult[] = [];
		await withReport(report === undefined ? undefined : path.resolve(report), async (events) => {
			const waiting = [...runs];
			const checkpoints = checkpoint ? new Date().toISOString().replaceAll(/[-:]|\..*/g, '') : undefined;
			await Promise.all(Array.from({length: Math.min(jobs, runs.length)}, async () => {
				for (let next = waiting.shift(); next !== undefined && !signal.aborted; next = waiting.shift()) {
					results.push(await runPrepared(next, {store, events, signal, evidence, keep, cold, stop, mutate, checkpoints, clock, from: origin}));
				}
			}));
		});
		for (const {error, told} of results) {
			// An interruption is told once, when the command ends with it.
			if (error !== undefined && !told && !(error.kind === 'interrupted' && signal.aborted)) {
				await showError(error);
			}
		}

		summarize(results, runs, report);
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

function summarize(results: readonly RunResult[], runs: readonly PreparedRun[], report: string | undefined): void {
	const scenarios = [...new Set(runs.map(({scenario}) => scenario))];
	const passed = results.filter((result) => result.passed).length;
	if (runs.length > scenarios.length) {
		for (const scenario of scenarios) {
			const own = runs.filter((run) => run.scenario === scenario).map(({name}) => name);
			const ended = results.filter((result) => own.includes(result.scenario) && result.error?.kind !== 'interrupted');
			const failed = ended.filter((result) => !result.passed);
			say(`${scenario} failed ${failed.length} of ${ended.length} times${failed.length === 0 ? '' : `: ${failed.map((result) => result.scenario).join(', ')}`}`);
		}
	}

	const what = runs.length > scenarios.length ? 'runs' : runs.length === 1 ? 'scenario' : 'scenarios';
	say(`${passed} of ${runs.length} ${what} passed${report === undefined ? '' : `; report: ${path.join(report, 'report.html')}`}`);
}
