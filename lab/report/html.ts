/**
 * A run as one page: nothing is loaded from anywhere, there are no scripts, and what machines said is text only.
 */
import path from 'node:path';
import type {TimedEvent} from '../event/event.ts';
import {formatBytes, formatSeconds} from './duration.ts';
import {formatPlace} from './error-text.ts';
import {foldEvents, type History, type LabSpan, type Note, type ReportedError, type ScenarioSpan, type Span, type StepSpan} from './history.ts';
import {Markup, markup} from './markup.ts';
import {printableLine} from './printable.ts';
import {style} from './style.ts';
import {timelinePicture, type TimelineRow} from './timeline.ts';
import {topologyPicture} from './topology-picture.ts';

/** What the page says beside the events. */
export interface HtmlOptions {
	/** The folder that the page will be in: links to evidence are relative to it. */
	readonly folder?: string;
	/** Source files below this folder are told relative to it. Default: the current one. */
	readonly sources?: string;
}

/** What a state is called on the page, and its sign. */
const states: Readonly<Record<Span['state'], {readonly word: string; readonly sign: string}>> = {
	running: {word: 'not finished', sign: '…'},
	cached: {word: 'built before', sign: '='},
	done: {word: 'passed', sign: '✔'},
	failed: {word: 'failed', sign: '✖'},
};

/** The page of a run. */
export function htmlReport(events: readonly TimedEvent[], options: HtmlOptions = {}): string {
	const history = foldEvents(events);
	const {scenarios} = history;
	const passed = scenarios.filter(({state}) => state === 'done').length;
	const failedBefore = [...history.stages, ...history.labs].filter(({state, error}) => state === 'failed' && error !== undefined);
	const verdict = scenarios.length === 0
		? (failedBefore.length === 0 ? 'No scenario ran' : 'Failed before any scenario ran')
		: `${passed} of ${scenarios.length} ${scenarios.length === 1 ? 'scenario' : 'scenarios'} passed`;
	const good = scenarios.length > 0 && passed === scenarios.length;
	const page = markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>vmlab: ${verdict}</title>
<style>${new Markup(style)}</style>
</head>
<body>
<header>
<h1 class="${good ? 'done' : 'failed'}">${good ? '✔' : '✖'} ${verdict}</h1>
<p>${events.length === 0 ? 'Nothing happened.' : markup`Started <time>${new Date(history.start).toISOString().replace('T', ' ').replace(/\.\d+Z$/, ' UTC')}</time>, took ${formatSeconds((history.end - history.start) / 1000)}.`}</p>
</header>
<main>
${contents(scenarios, history)}
${history.stages.filter(({state}) => state === 'failed').map(({name, error}) => markup`<section><h2 class="failed">✖ ${name}</h2>${errorBlock(error, options)}</section>`)}
${history.labs.filter((lab) => isUntold(lab, scenarios)).map((lab) => labSection(lab, history, options))}
${scenarios.map((scenario) => scenarioSection(scenario, history, options))}
${stagesSection(history)}
${notesSection(history)}
</main>
<footer>Written by vmlab.</footer>
</body>
</html>
`;
	return page.text;
}

/** Of several scenarios: which of them failed and why, these first, with links to each. */
function contents(scenarios: readonly ScenarioSpan[], history: History): Markup | undefined {
	if (scenarios.length < 2) {
		return undefined;
	}

	const failedFirst = [...scenarios].sort((one, other) => Number(one.state === 'done') - Number(other.state === 'done'));
	return markup`<nav><h2>Scenarios</h2>
<table><tbody>${failedFirst.map((scenario) => markup`<tr class="${scenario.state}"><td>${sign(scenario)}</td><td><a href="#${anchor(scenario.name)}">${scenario.name}</a></td><td>${took(scenario, history)}</td><td>${scenario.error?.message ?? scenario.summary}</td></tr>`)}</tbody></table>
</nav>`;
}

function endOf(span: Span, history: History): number {
	return span.end ?? history.end;
}

function scenarioSection(scenario: ScenarioSpan, history: History, options: HtmlOptions): Markup {
	const seconds = (endOf(scenario, history) - scenario.start) / 1000;
	const lastStepError = scenario.steps.findLast(({error}) => error !== undefined)?.error;
	const {evidence} = scenario;
	return markup`<section id="${anchor(scenario.name)}">
<h2 class="${scenario.state}">${states[scenario.state].sign} ${scenario.name} <small>${states[scenario.state].word}, ${formatSeconds(seconds)}</small></h2>
<p class="summary">${scenario.summary}</p>
${scenario.error !== undefined && scenario.error.message !== lastStepError?.message ? errorBlock(scenario.error, options) : undefined}
${scenario.notes.length === 0 ? undefined : markup`<ul class="said">${scenario.notes.map(noteItem)}</ul>`}
<ol class="steps">${scenario.steps.filter(({parent}) => parent === undefined).map((step) => stepItem(step, scenario, history, options))}</ol>
${evidence === undefined ? undefined : markup`<p>Evidence: ${evidencePlace(evidence.path, options.folder)} (${evidence.files} files)</p>`}
<h3>Time</h3>
<div class="wide">${timelinePicture(`Machines and steps of ${scenario.name} over time`, scenarioRows(scenario, history))}</div>
${labPicture(scenario.lab, history)}
</section>`;
}

/** A lab that failed, unless that is its scenario's error, which has it all. */
function isUntold(lab: LabSpan, scenarios: readonly ScenarioSpan[]): boolean {
	return lab.state === 'failed' && scenarios.every((scenario) => scenario.lab !== lab.name || scenario.error?.message !== lab.error?.message);
}

function labSection(lab: LabSpan, history: History, options: HtmlOptions): Markup {
	const rows = machineRows(lab.name, history, endOf(lab, history));
	return markup`<section><h2 class="failed">✖ Lab ${lab.name}</h2>${errorBlock(lab.error, options)}
${rows.length === 0 ? undefined : markup`<h3>Time</h3><div class="wide">${timelinePicture(`Machines of ${lab.name} over time`, rows)}</div>`}
${labPicture(lab.name, history)}
</section>`;
}

function labPicture(name: string, history: History): Markup | undefined {
	const topology = history.topologies.find(({lab}) => lab === name);
	return topology && markup`<h3>Lab ${name}</h3><div class="wide">${topologyPicture(topology)}</div>`;
}

function stepItem(step: StepSpan, scenario: ScenarioSpan, history: History, options: HtmlOptions): Markup {
	const inner = step.parent === undefined ? scenario.steps.filter(({parent}) => parent === step.name) : [];
	// The error of an inner step is that of the outer one too.
	const isInnerError = inner.some(({error}) => error !== undefined && error.message === step.error?.message);
	return markup`<li class="${step.state}">${sign(step)} ${step.name} <small>${took(step, history)}</small>${inner.length === 0 ? undefined : markup`<ol class="steps">${inner.map((each) => stepItem(each, scenario, history, options))}</ol>`}${step.error === undefined || isInnerError ? undefined : errorBlock(step.error, options)}${saidList(step, history)}</li>`;
}

function sign({state}: Span): Markup {
	return markup`<span class="sign" title="${states[state].word}">${states[state].sign}</span>`;
}

function took(span: Span, history: History): string {
	return formatSeconds((endOf(span, history) - span.start) / 1000);
}

/** What a step waited for, with what was seen last where that did not come, and what it said. */
function saidList({waits, notes}: StepSpan, history: History): Markup | undefined {
	const items = [
		...waits.map((wait) => markup`<li class="${wait.state}">${sign(wait)} waited until ${wait.name} <small>${took(wait, history)} of ${formatSeconds(wait.deadline)}${wait.last === undefined ? '' : `; last seen: ${wait.last}`}</small></li>`),
		...notes.map(noteItem),
	];
	return items.length === 0 ? undefined : markup`<ul class="said">${items}</ul>`;
}

function noteItem({level, text}: Note): Markup {
	return markup`<li class="${level}">${level === 'warning' ? '! ' : ''}${text}</li>`;
}

function errorBlock(error: ReportedError | undefined, options: HtmlOptions): Markup | undefined {
	if (error === undefined) {
		return undefined;
	}

	const {where, details, hint, log, code} = error;
	return markup`<div class="error"><p><strong>${error.message}</strong></p>${where === undefined ? undefined : markup`<p class="place">at <code>${formatPlace(where, options.sources ?? process.cwd())}</code></p>`}${details === undefined || details.length === 0 ? undefined : markup`<pre>${details.join('\n')}</pre>`}${hint === undefined ? undefined : markup`<p>→ ${hint}</p>`}${log === undefined ? undefined : markup`<p>Log: <code>${log}</code></p>`}<p class="code">${code}</p></div>`;
}

/** The boots of a lab's machines, from power-on to ready; what a machine does after that is in the steps. */
function machineRows(lab: string, history: History, end: number): TimelineRow[] {
	return history.machines.filter((machine) => machine.lab === lab && machine.start <= end).map((machine): TimelineRow => ({
		label: machine.name,
		kind: 'machine',
		state: machine.state,
		start: machine.start,
		end: machine.ready === undefined ? Math.min(endOf(machine, history), end) : machine.start + machine.ready * 1000,
		marks: machine.answers === undefined ? [] : [{at: machine.start + machine.answers * 1000, label: `${machine.name} answers over ssh`}],
	}));
}

/** The boots of the scenario's lab and its steps, on one axis. */
function scenarioRows(scenario: ScenarioSpan, history: History): TimelineRow[] {
	const steps = scenario.steps.map((step): TimelineRow => ({
		label: step.name, kind: 'step', state: step.state, start: step.start, end: endOf(step, history), indent: step.parent === undefined ? 0 : 1,
	}));
	return [...machineRows(scenario.lab, history, endOf(scenario, history)), ...faultRows(scenario, history), ...steps];
}

/** What was wrong with machines and links on purpose while a scenario ran; a lab may have it from its start. */
function faultRows(scenario: ScenarioSpan, history: History): TimelineRow[] {
	const end = endOf(scenario, history);
	return history.faults.filter((fault) => fault.lab === scenario.lab && endOf(fault, history) >= scenario.start && fault.start <= end).map((fault): TimelineRow => ({
		label: `${fault.of}: ${fault.name}`, kind: 'fault', state: fault.state, start: fault.start, end: Math.min(endOf(fault, history), end),
	}));
}

function stagesSection(history: History): Markup | undefined {
	if (history.stages.length === 0) {
		return undefined;
	}

	const cached = history.stages.filter(({state}) => state === 'cached');
	const made = history.stages.filter(({state}) => state !== 'cached');
	const rows = made.map((stage): TimelineRow => ({label: stage.name, kind: 'stage', state: stage.state, start: stage.start, end: endOf(stage, history)}));
	return markup`<section><h2>Stages</h2>
<p>${made.length} built in this run, ${cached.length} built before.</p>
<div class="wide">${timelinePicture('Stages over time', rows)}</div>
<details><summary>All stages</summary><table><thead><tr><th>Stage</th><th></th><th>Time</th><th>Size</th></tr></thead><tbody>${history.stages.map((stage) => markup`<tr class="${stage.state}"><td>${stage.name}</td><td>${stage.state === 'done' ? 'built' : states[stage.state].word}</td><td>${stage.state === 'cached' ? '' : formatSeconds((endOf(stage, history) - stage.start) / 1000)}</td><td>${stage.bytes === undefined ? '' : formatBytes(stage.bytes)}</td></tr>`)}</tbody></table></details>
</section>`;
}

function notesSection(history: History): Markup | undefined {
	return history.notes.length === 0 ? undefined : markup`<section><h2>Notes</h2><ul>${history.notes.map(noteItem)}</ul></section>`;
}

function anchor(name: string): string {
	return `scenario-${printableLine(name).replaceAll(/[^\w-]+/g, '-')}`;
}

/** A link where the evidence is below the page's folder, so that it works wherever both are copied to; else just the path. */
function evidencePlace(file: string, folder: string | undefined): Markup {
	const relative = folder === undefined ? '..' : path.relative(folder, path.resolve(file));
	return relative === '..' || relative.startsWith('../')
		? markup`<code>${file}</code>`
		: markup`<a href="./${relative.split('/').map((part) => encodeURIComponent(printableLine(part))).join('/')}">${relative}</a>`;
}
