/**
 * JUnit's XML, as CI systems read it: one testsuite a scenario, one testcase a step. A claim that failed is a `failure`;
 * a machine that broke, a timeout or an interruption is an `error`. There is no standard of it; this keeps to what the
 * Ant task wrote and what Jenkins' and GitLab's readers take.
 */
import {create} from 'xmlbuilder2';
import type {TimedEvent} from '../event/event.ts';
import {renderError} from './error-text.ts';
import {foldEvents, type History, type ReportedError, type ScenarioSpan, type Span, type StepSpan} from './history.ts';
import {printable, printableLine} from './printable.ts';

interface Case {
	readonly name: string;
	readonly seconds: number;
	readonly error?: ReportedError | undefined;
}

interface Suite {
	readonly name: string;
	readonly start: number;
	readonly seconds: number;
	readonly cases: readonly Case[];
	readonly output: readonly string[];
}

/** For what was still running when the events ended. */
const unfinished: ReportedError = {code: 'unfinished', kind: 'interrupted', message: 'It was still running when the run ended'};

function secondsOf(span: Span, end: number): number {
	return ((span.end ?? end) - span.start) / 1000;
}

function errorOf(span: Span): ReportedError | undefined {
	return span.error ?? (span.state === 'running' ? unfinished : undefined);
}

/** Titles of steps are unique within one parent alone. */
function caseName({name, parent}: StepSpan): string {
	return parent === undefined ? name : `${parent} / ${name}`;
}

function scenarioSuite(scenario: ScenarioSpan, end: number): Suite {
	const steps = scenario.steps.map((step): Case => ({
		name: caseName(step),
		seconds: secondsOf(step, end),
		error: errorOf(step),
	}));
	const error = errorOf(scenario);
	// What failed outside of any step needs a testcase too, or a reader that counts those would call it passed.
	const outside = error !== undefined && steps.every((step) => step.error === undefined) ? [{name: `scenario ${scenario.name}`, seconds: 0, error}] : [];
	return {
		name: scenario.name,
		start: scenario.start,
		seconds: secondsOf(scenario, end),
		cases: [...steps, ...outside],
		output: [
			...scenario.notes.map(({text}) => text),
			...scenario.steps.flatMap((step) => step.notes.map(({text}) => `${caseName(step)}: ${text}`)),
			...(scenario.evidence === undefined ? [] : [`evidence: ${scenario.evidence.path} (${scenario.evidence.files} files)`]),
		],
	};
}

/** Stages and labs that failed, as a suite of their own: without them a run that never came to its scenarios would look empty. */
function preparationSuite(history: History): Suite[] {
	const failed = [
		...history.stages.map((span) => ({span, name: `stage ${span.name}`})),
		...history.labs.map((span) => ({span, name: `lab ${span.name}`})),
	].filter(({span}) => span.state === 'failed');
	return failed.length === 0 ? [] : [{
		name: 'preparation',
		start: history.start,
		seconds: (history.end - history.start) / 1000,
		cases: failed.map(({span, name}) => ({name, seconds: secondsOf(span, history.end), error: span.error ?? unfinished})),
		output: [],
	}];
}

function count(cases: readonly Case[], fits: (error: ReportedError) => boolean): number {
	return cases.filter(({error}) => error !== undefined && fits(error)).length;
}

const isClaim = (error: ReportedError): boolean => error.kind === 'scenario';

/** The XML of a run. */
export function junitXml(events: readonly TimedEvent[]): string {
	const history = foldEvents(events);
	const suites = [...preparationSuite(history), ...history.scenarios.map((scenario) => scenarioSuite(scenario, history.end))];
	const all = suites.flatMap(({cases}) => cases);
	const root = create({version: '1.0', encoding: 'UTF-8'}).ele('testsuites', {
		name: 'vmlab',
		tests: all.length,
		failures: count(all, isClaim),
		errors: count(all, (error) => !isClaim(error)),
		time: ((history.end - history.start) / 1000).toFixed(3),
	});
	for (const suite of suites) {
		const element = root.ele('testsuite', {
			name: printableLine(suite.name),
			tests: suite.cases.length,
			failures: count(suite.cases, isClaim),
			errors: count(suite.cases, (error) => !isClaim(error)),
			skipped: 0,
			time: suite.seconds.toFixed(3),
			timestamp: new Date(suite.start).toISOString().replace(/\.\d+Z$/, 'Z'),
		});
		for (const {name, seconds, error} of suite.cases) {
			const testcase = element.ele('testcase', {name: printableLine(name), classname: `vmlab.${printableLine(suite.name)}`, time: seconds.toFixed(3)});
			if (error !== undefined) {
				testcase
					.ele(isClaim(error) ? 'failure' : 'error', {message: printableLine(error.message, 1000), type: printableLine(error.code)})
					.txt(renderError(error, {color: false}));
			}
		}

		if (suite.output.length > 0) {
			element.ele('system-out').txt(suite.output.map((line) => printable(line)).join('\n'));
		}
	}

	return `${root.end({prettyPrint: true})}\n`;
}
