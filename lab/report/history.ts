/** What happened, folded from the events: the common ground of all reports. */
import type {LabEvent, LinkEvent, MachineEvent, NoteEvent, TimedEvent, TopologyEvent} from '../event/event.ts';

/** The error of an event. */
export type ReportedError = Extract<LabEvent, {reason: 'failed'}>['error'];

/** Something that takes time. Moments are milliseconds since 1970. */
export interface Span {
	readonly name: string;
	readonly start: number;
	/** Undefined while it goes on, and when it never ended. */
	end?: number;
	state: 'running' | 'cached' | 'done' | 'failed';
	error?: ReportedError;
}

/** A stage, from when it was asked for until it was there. */
export interface StageSpan extends Span {
	/** Of the made stage. */
	bytes?: number;
	/** The last line about what is going on. */
	progress?: string;
}

/** A machine, from its start to its end. */
export interface MachineSpan extends Span {
	readonly lab: string;
	/** Seconds since power-on. */
	answers?: number;
	ready?: number;
	exit?: string;
	/** It began anew, and boots. */
	again?: true;
}

/** A lab, from its boot until it was ready. */
export interface LabSpan extends Span {
	/** Seconds since its start. */
	ready?: number;
	stopping: boolean;
	/** It goes on from a frozen lab. */
	forked: boolean;
}

/** A sentence for the person. */
export interface Note {
	readonly at: number;
	readonly level: 'info' | 'warning';
	readonly text: string;
}

/** A step of a scenario. */
export interface StepSpan extends Span {
	readonly parent?: string;
	/** What it waited for, ended or not. */
	readonly waits: WaitSpan[];
	/** What was said in it, or after it before the next one: figures above all. */
	readonly notes: Note[];
}

/** A scenario with its steps. */
export interface ScenarioSpan extends Span {
	readonly summary: string;
	readonly lab: string;
	readonly steps: StepSpan[];
	/** What was said before its first step. */
	readonly notes: Note[];
	evidence?: {readonly path: string; readonly files: number};
}

/** A wait, with what was last seen. */
export interface WaitSpan extends Span {
	/** Seconds. */
	readonly deadline: number;
	/** What was seen last, of one that is not met. One that was given up has an end, and is never met or failed: it stays `running`. */
	last?: string;
	readonly scenario?: string | undefined;
}

/** Something that was wrong with a machine or a link on purpose, in words. It ends as done. */
export interface FaultSpan extends Span {
	readonly lab: string;
	/** The machine or the link: 'node-1', 'node-1@cluster'. */
	readonly of: string;
}

/** Everything that events have told so far. */
export interface History {
	/** Of the first event and the last; 0 without events. */
	start: number;
	end: number;
	readonly stages: StageSpan[];
	readonly labs: LabSpan[];
	readonly machines: MachineSpan[];
	readonly faults: FaultSpan[];
	readonly scenarios: ScenarioSpan[];
	/** Waits that go on, and those that expired. */
	readonly waits: WaitSpan[];
	readonly topologies: TopologyEvent[];
	/** But for those of scenarios. */
	readonly notes: Note[];
}

/** The history before the first event. */
export function emptyHistory(): History {
	return {start: 0, end: 0, stages: [], labs: [], machines: [], faults: [], scenarios: [], waits: [], topologies: [], notes: []};
}

/** The history of a list of events. */
export function foldEvents(events: readonly TimedEvent[]): History {
	const history = emptyHistory();
	for (const event of events) {
		addEvent(history, event);
	}

	return history;
}

function last<Value>(spans: readonly Value[], fits: (span: Value) => boolean): Value | undefined {
	return spans.findLast(fits);
}

/** Adds one event to a history, in place. An event that continues what never started is told as if it had started then. */
export function addEvent(history: History, event: TimedEvent): void {
	const {at} = event;
	history.start ||= at;
	history.end = Math.max(history.end, at);
	switch (event.type) {
		case 'stage': {
			let span = last(history.stages, ({name, state}) => name === event.stage && state === 'running');
			if (span === undefined) {
				span = {name: event.stage, start: at, state: 'running'};
				history.stages.push(span);
			}

			switch (event.reason) {
				case 'cached': {
					span.state = 'cached';
					span.end = at;
					break;
				}

				case 'waiting': {
					span.progress = `waiting for ${event.holder}`;
					break;
				}

				case 'started': {
					delete span.progress;
					break;
				}

				case 'progress': {
					span.progress = event.text;
					break;
				}

				case 'made': {
					span.state = 'done';
					span.end = at;
					span.bytes = event.bytes;
					break;
				}

				case 'failed': {
					span.state = 'failed';
					span.end = at;
					span.error = event.error;
					break;
				}
			}

			break;
		}

		case 'lab': {
			let span = last(history.labs, ({name, end}) => name === event.lab && end === undefined);
			if (span === undefined) {
				span = {name: event.lab, start: at, state: 'running', stopping: false, forked: false};
				history.labs.push(span);
			}

			if (event.reason === 'ready') {
				span.ready = event.seconds;
				span.state = 'done';
			} else if (event.reason === 'failed') {
				span.state = 'failed';
				span.error = event.error;
			} else if (event.reason === 'forking') {
				span.forked = true;
			} else if (event.reason === 'stopping') {
				span.stopping = true;
			} else if (event.reason === 'ended') {
				span.end = at;
				for (const fault of history.faults.filter(({lab, end}) => lab === event.lab && end === undefined)) {
					endSpan(fault, at, undefined);
				}
			}

			break;
		}

		case 'machine': {
			if (event.reason === 'reset') {
				addReset(history, event, at);
				break;
			}

			if (event.reason === 'fault' || event.reason === 'recovered') {
				addFault(history, event, event.machine, at);
				break;
			}

			let span = last(history.machines, ({name, lab, end}) => name === event.machine && lab === event.lab && end === undefined);
			if (span === undefined || event.reason === 'started') {
				span = {name: event.machine, lab: event.lab, start: at, state: 'running'};
				history.machines.push(span);
			}

			if (event.reason === 'answers') {
				span.answers = event.seconds;
			} else if (event.reason === 'ready') {
				span.ready = event.seconds;
				span.state = 'done';
			} else if (event.reason === 'exited') {
				span.end = at;
				span.exit = event.signal === null ? `exit code ${event.code}` : `signal ${event.signal}`;
				if (event.expected === true) {
					span.state = 'done';
				} else if (!isStopping(history, event.lab)) {
					span.state = 'failed';
				}
			}

			break;
		}

		case 'link': {
			addFault(history, event, event.link, at);
			break;
		}

		case 'wait': {
			if (event.reason === 'started') {
				const wait: WaitSpan = {name: event.sentence, start: at, state: 'running', deadline: event.deadline, scenario: event.scenario};
				history.waits.push(wait);
				runningStep(history, event.scenario)?.waits.push(wait);
				break;
			}

			const index = history.waits.findLastIndex(({name, scenario, state}) => name === event.sentence && scenario === event.scenario && state === 'running');
			const span = history.waits[index];
			if (span !== undefined && event.reason === 'unmet') {
				span.last = event.last;
			} else if (span !== undefined && event.reason === 'expired') {
				span.state = 'failed';
				span.end = at;
				span.last = event.last;
			} else if (span !== undefined) {
				span.end = at;
				history.waits.splice(index, 1);
				if (event.reason === 'given-up') {
					span.last = event.last;
				} else {
					span.state = 'done';
					delete span.last;
				}
			}

			break;
		}

		case 'scenario': {
			if (event.reason === 'started') {
				history.scenarios.push({name: event.scenario, summary: event.summary, lab: event.lab, start: at, state: 'running', steps: [], notes: []});
				break;
			}

			endSpan(runningScenario(history, event.scenario), at, event.reason === 'failed' ? event.error : undefined);
			break;
		}

		case 'step': {
			const scenario = runningScenario(history, event.scenario);
			if (scenario === undefined) {
				break;
			}

			if (event.reason === 'started') {
				scenario.steps.push({name: event.step, start: at, state: 'running', waits: [], notes: [], ...(event.parent === undefined ? {} : {parent: event.parent})});
				break;
			}

			endSpan(
				last(scenario.steps, ({name, parent, state}) => name === event.step && parent === event.parent && state === 'running'),
				at, event.reason === 'failed' ? event.error : undefined,
			);
			break;
		}

		case 'evidence': {
			const scenario = last(history.scenarios, ({name}) => name === event.scenario);
			if (scenario !== undefined) {
				scenario.evidence = {path: event.path, files: event.files};
			}

			break;
		}

		case 'topology': {
			const index = history.topologies.findIndex(({lab}) => lab === event.lab);
			if (index === -1) {
				history.topologies.push(event);
			} else {
				history.topologies[index] = event;
			}

			break;
		}

		case 'note': {
			if (!isToldAgain(history, event)) {
				// What is said after its end is its own too.
				const scenario = last(history.scenarios, ({name}) => name === event.scenario);
				(runningStep(history, event.scenario) ?? last(scenario?.steps ?? [], ({parent}) => parent === undefined) ?? scenario ?? history).notes.push({at, level: event.level, text: event.text});
			}

			break;
		}
	}
}

function runningScenario({scenarios}: History, scenario: string | undefined): ScenarioSpan | undefined {
	return last(scenarios, ({name, state}) => name === scenario && state === 'running');
}

/** The innermost step of a scenario that goes on. */
function runningStep(history: History, scenario: string | undefined): StepSpan | undefined {
	return last(runningScenario(history, scenario)?.steps ?? [], ({state}) => state === 'running');
}

function addReset(history: History, {lab, machine, byItself}: Extract<MachineEvent, {reason: 'reset'}>, at: number): void {
	// What it takes to be ready again counts from here.
	endSpan(last(history.machines, ({name, lab: of, end}) => name === machine && of === lab && end === undefined), at, undefined);
	history.machines.push({name: machine, lab, start: at, state: 'running', again: true});
	history.faults.push({name: byItself === true ? 'reboot' : 'reset', lab, of: machine, start: at, end: at, state: 'done'});
}

function addFault(history: History, {lab, reason, fault: words}: Extract<MachineEvent | LinkEvent, {reason: 'fault' | 'recovered'}>, of: string, at: number): void {
	if (reason === 'fault') {
		history.faults.push({name: words, lab, of, start: at, state: 'running'});
	} else {
		endSpan(last(history.faults, (fault) => fault.end === undefined && fault.lab === lab && fault.of === of && fault.name === words), at, undefined);
	}
}

/** Is it a note to be told once, and in the history already? */
export function isToldAgain({notes}: History, {once, text}: NoteEvent): boolean {
	return once === true && notes.some((note) => note.text === text);
}

/** Ends a span that goes on, well where there is no error. */
function endSpan(span: Span | undefined, at: number, error: ReportedError | undefined): void {
	if (span === undefined) {
		return;
	}

	span.end = at;
	span.state = error === undefined ? 'done' : 'failed';
	if (error !== undefined) {
		span.error = error;
	}
}

function isStopping(history: History, lab: string): boolean {
	return last(history.labs, ({name}) => name === lab)?.stopping ?? false;
}
