/**
 * The run on a terminal: what is done stays as lines, what goes on is redrawn below them. Where no terminal is, or a dumb
 * one, or in CI, there are plain lines only.
 *
 * A scenario's failure is shown in full here. Those of stages and labs get one line: the command ends with the same error
 * and shows it.
 */
import {Chalk, type ChalkInstance} from 'chalk';
import type {EventSink, LabEvent, LinkEvent, MachineEvent, TimedEvent} from '../event/event.ts';
import {formatBytes, formatSeconds} from './duration.ts';
import {renderError} from './error-text.ts';
import {addEvent, emptyHistory, type History, isToldAgain, type Span} from './history.ts';
import {printableLine} from './printable.ts';

/** What a report needs of a stream; `process.stderr` is one. */
export interface ReportStream {
	readonly isTTY?: boolean;
	readonly columns?: number;
	readonly rows?: number;
	write(text: string): unknown;
	hasColors?(environment: object): boolean;
}

/** Where and how the terminal's report is written. */
export interface TerminalReportOptions {
	/** Default: stderr, since stdout is for data. */
	readonly stream?: ReportStream;
	/** `NO_COLOR`, `CI` and `TERM` are read. */
	readonly environment?: Readonly<Record<string, string | undefined>>;
	/** Milliseconds since 1970. */
	readonly now?: () => number;
}

/** A report that is being written to a terminal. */
export interface TerminalReport {
	readonly sink: EventSink;
	/** Takes away what is redrawn; the lines stay. */
	close(): void;
}

/** How often what goes on is redrawn, and how often plain lines tell a stage's progress, and what a wait sees. Milliseconds. */
const redrawEvery = 200;
const progressEvery = 30_000;
/** A wait is worth a plain line from this many seconds on. */
const longWait = 10;
/** Places of the live part at most; it must never be higher than the terminal. */
const liveLines = 10;

/** Lines of the terminal that are not for the live part. */
const restLines = 2;

/** Is there a terminal that can be redrawn, and has room? One whose size nobody has set has 0 columns. */
export function isLive(stream: ReportStream, environment: TerminalReportOptions['environment'] = process.env): boolean {
	return stream.isTTY === true && !environment['CI'] && environment['TERM'] !== 'dumb' && stream.columns !== 0 && (stream.rows ?? 24) > restLines;
}

/** Are colours wanted, and there? (https://no-color.org) */
export function hasColor(stream: ReportStream, environment: TerminalReportOptions['environment'] = process.env): boolean {
	return stream.isTTY === true && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb' && (stream.hasColors?.(environment) ?? true);
}

/** Reports events to a terminal as they come. */
export function terminalReport(options: TerminalReportOptions = {}): TerminalReport {
	const {stream = process.stderr, environment = process.env, now = Date.now} = options;
	const live = isLive(stream, environment);
	const color = hasColor(stream, environment);
	const chalk = new Chalk({level: color ? 1 : 0});
	const history = emptyHistory();
	const lines = createLines({chalk, color, live, history});
	let drawn = 0;
	let closed = false;

	/** Moves to where the live part began, and clears from there on (ECMA-48: CPL, ED). */
	function erase(): string {
		const text = drawn === 0 ? '' : `\u001B[${drawn}F\u001B[J`;
		drawn = 0;
		return text;
	}

	function draw(): string {
		const shown = liveView(history, now(), chalk, stream.columns ?? 80).slice(0, Math.max(0, Math.min(liveLines, (stream.rows ?? 24) - restLines)));
		drawn = shown.length;
		return shown.map((line) => `${line}\n`).join('');
	}

	const timer = live ? setInterval(() => {
		stream.write(erase() + draw());
	}, redrawEvery).unref() : undefined;
	return {
		sink(event) {
			const timed: TimedEvent = {...event, at: now()};
			if (event.type === 'note' && isToldAgain(history, event)) {
				return;
			}

			addEvent(history, timed);
			const text = lines(timed).map((line) => `${line}\n`).join('');
			if (closed || !live) {
				stream.write(text);
			} else if (text !== '') {
				// In one write, so that nothing flickers.
				stream.write(erase() + text + draw());
			}
		},
		close() {
			if (!closed) {
				closed = true;
				clearInterval(timer);
				stream.write(erase());
			}
		},
	};
}

interface Appearance {
	readonly chalk: ChalkInstance;
	readonly color: boolean;
	readonly live: boolean;
	readonly history: History;
}

/** The lines that stay of an event, none for most. */
function createLines({chalk, color, live, history}: Appearance): (event: TimedEvent) => string[] {
	const done = chalk.green('✔');
	const bad = chalk.red('✖');
	const going = chalk.cyan('…');
	const took = (seconds: number): string => chalk.dim(` ${formatSeconds(seconds)}`);
	const toldAt = new Map<string, number>();
	/** Is a plain line due of what goes on? The live part shows it all the time. */
	const isDue = (what: string, at: number): boolean => {
		if (live || at - (toldAt.get(what) ?? -Infinity) < progressEvery) {
			return false;
		}

		toldAt.set(what, at);
		return true;
	};

	let cached = 0;
	// Once there were several at a time, all lines say which one they are about.
	let severalLabs = false;
	let severalScenarios = false;

	function cachedLine(): string[] {
		const count = cached;
		cached = 0;
		return count === 0 ? [] : [`${done} ${count === 1 ? '1 stage was' : `${count} stages were`} built before`];
	}

	/** A machine or a link, with its lab where there are several. */
	function within(lab: string, name: string): string {
		severalLabs ||= severalAtOnce(history.labs);
		return `${severalLabs ? `${printableLine(lab)}/` : ''}${printableLine(name)}`;
	}

	function faultLines(of: string, event: Extract<MachineEvent | LinkEvent, {reason: 'fault' | 'recovered'}>): string[] {
		return [event.reason === 'fault' ? `  ${chalk.yellow('!')} ${of}: ${printableLine(event.fault)}` : `  ${done} ${of}: no longer ${printableLine(event.fault)}${took(event.seconds)}`];
	}

	function tell(event: TimedEvent): string[] {
		/** Beginnings are told by plain lines only: the live part shows what goes on. */
		const beginning = (text: string, indent = ''): string[] => (live ? [] : [`${indent}${going} ${text}`]);
		switch (event.type) {
			case 'stage': {
				const stage = printableLine(event.stage);
				switch (event.reason) {
					case 'cached': {
						return [];
					}

					case 'started': {
						return beginning(stage);
					}

					case 'waiting': {
						return beginning(`${stage}: waiting for ${printableLine(event.holder)}`);
					}

					case 'progress': {
						return isDue(`stage ${event.stage}`, event.at) ? [`${going} ${stage}: ${printableLine(event.text, 150)}`] : [];
					}

					case 'made': {
						return [`${done} ${stage}${took(event.seconds)}${chalk.dim(`, ${formatBytes(event.bytes)}`)}`];
					}

					case 'failed': {
						return [`${bad} ${stage}${took(event.seconds)}: ${printableLine(event.error.message)}`];
					}
				}

				break;
			}

			case 'lab': {
				const lab = printableLine(event.lab);
				switch (event.reason) {
					case 'starting': {
						return [];
					}

					case 'booting':
					case 'freezing':
					case 'stopping': {
						return beginning(`lab ${lab}: ${event.reason}`);
					}

					case 'forking': {
						return beginning(`lab ${lab}: forking the frozen lab`);
					}

					case 'ready': {
						return [`${done} lab ${lab} is ready${took(event.seconds)}${isForked(history, event.lab) ? chalk.dim(', forked from the frozen lab') : ''}`];
					}

					case 'frozen': {
						const still = event.seconds === undefined ? '' : chalk.dim(`; it stood still for ${event.seconds < 1 ? `${Math.ceil(event.seconds * 1000)} ms` : formatSeconds(event.seconds)}, and goes on`);
						return [`${done} lab ${lab} is frozen${still}`];
					}

					case 'failed': {
						return [`${bad} lab ${lab}: ${printableLine(event.error.message)}`];
					}

					case 'ended': {
						return [`${done} lab ${lab} is down`];
					}
				}

				break;
			}

			case 'machine': {
				const machine = within(event.lab, event.machine);
				switch (event.reason) {
					case 'started': {
						return isForked(history, event.lab) ? [] : beginning(`${machine}: powered on`, '  ');
					}

					case 'answers':
					case 'ready': {
						return [`  ${done} ${machine} ${event.reason === 'ready' ? 'is ready' : 'answers'}${took(event.seconds)}`];
					}

					case 'reset': {
						return [`  ${chalk.yellow('!')} ${machine}: ${event.byItself === true ? 'reboots' : 'reset'}`];
					}

					case 'fault':
					case 'recovered': {
						return faultLines(machine, event);
					}

					case 'exited': {
						const span = history.machines.findLast(({name, lab}) => name === event.machine && lab === event.lab);
						return span?.state === 'failed' ? [`  ${bad} ${machine} ended: ${span.exit ?? 'nobody knows why'}`] : [];
					}
				}

				break;
			}

			case 'link': {
				return faultLines(within(event.lab, event.link), event);
			}

			case 'wait': {
				if (event.reason === 'expired') {
					return [`  ${bad} ${printableLine(event.sentence)}${took(event.seconds)}: ${chalk.dim('last seen:')} ${printableLine(event.last, 150)}`];
				}

				if (event.reason === 'unmet') {
					if (!isDue(`wait ${event.scenario ?? ''} ${event.sentence}`, event.at)) {
						return [];
					}

					const {deadline} = history.waits.findLast(({name, scenario}) => name === event.sentence && scenario === event.scenario) ?? {};
					return [`  ${going} ${printableLine(event.sentence)}?${took(event.seconds)}${chalk.dim(deadline === undefined ? '' : ` of ${formatSeconds(deadline)}`)}: ${printableLine(event.last, 150)}`];
				}

				return !live && event.reason === 'met' && event.seconds >= longWait ? [`  ${done} ${printableLine(event.sentence)}${took(event.seconds)}`] : [];
			}

			case 'scenario': {
				const scenario = printableLine(event.scenario);
				switch (event.reason) {
					case 'started': {
						return ['', `${chalk.bold(scenario)} ${printableLine(event.summary)}`];
					}

					case 'passed': {
						return [`${done} ${chalk.bold(scenario)} passed${took(event.seconds)}`];
					}

					case 'failed': {
						return [`${bad} ${chalk.bold(scenario)} failed${took(event.seconds)}`, '', renderError(event.error, {color}), ''];
					}
				}

				break;
			}

			case 'step': {
				const indent = event.parent === undefined ? '  ' : '    ';
				severalScenarios ||= severalAtOnce(history.scenarios);
				const step = `${severalScenarios ? `${printableLine(event.scenario)}: ` : ''}${printableLine(event.step)}`;
				return event.reason === 'started'
					? beginning(step, indent)
					: [`${indent}${event.reason === 'passed' ? done : bad} ${step}${took(event.seconds)}`];
			}

			case 'evidence': {
				return [`  ${chalk.dim(`evidence: ${printableLine(event.path)} (${event.files} files)`)}`];
			}

			case 'topology': {
				return [];
			}

			case 'note': {
				return [event.level === 'warning' ? `${chalk.yellow('!')} ${printableLine(event.text, 1000)}` : `${chalk.blue('i')} ${printableLine(event.text, 1000)}`];
			}
		}

		return [];
	}

	return (event) => {
		if (event.type === 'stage' && event.reason === 'cached') {
			cached += 1;
			return [];
		}

		const told = tell(event);
		return endsCached(event) || told.length > 0 ? [...cachedLine(), ...told] : told;
	};
}

/** Do several of them go on at this moment? */
function severalAtOnce(spans: readonly Span[]): boolean {
	return spans.filter(({end}) => end === undefined).length > 1;
}

function isForked({labs}: History, lab: string): boolean {
	return labs.findLast(({name}) => name === lab)?.forked ?? false;
}

function endsCached(event: LabEvent): boolean {
	return event.type !== 'stage' && event.type !== 'wait' && event.type !== 'topology';
}

/** What goes on now, for the live part: one line each. */
export function liveView(history: History, now: number, chalk: ChalkInstance, columns: number): string[] {
	const elapsed = (start: number): string => formatSeconds((now - start) / 1000);
	const row = (indent: string, name: string, start: number, rest = ''): string => {
		const plain = printableLine(`${name} ${elapsed(start)}${rest === '' ? '' : `  ${rest}`}`, Math.max(10, columns - indent.length - 3));
		const split = Math.min(plain.length, [...printableLine(name)].join('').length);
		return `${indent}${chalk.cyan('…')} ${plain.slice(0, split)}${chalk.dim(plain.slice(split))}`;
	};

	return [
		...history.stages.filter(({state}) => state === 'running').map(({name, start, progress}) => row('', name, start, progress)),
		...history.labs.filter(({end, state, stopping}) => end === undefined && (state === 'running' || stopping)).map(({name, start, stopping}) => row('', `lab ${name}${stopping ? ': stopping' : ''}`, start)),
		...history.machines.filter(({state, end}) => state === 'running' && end === undefined).map(({name, lab, start, answers, again}) => row('  ', severalAtOnce(history.labs) ? `${lab}/${name}` : name, start, isForked(history, lab) && again === undefined ? 'waking up' : answers === undefined ? 'booting' : 'getting ready')),
		...history.scenarios.filter(({state}) => state === 'running').flatMap(({name: scenario, steps}) => steps.filter(({state}) => state === 'running').map(({name, parent, start}) => row(parent === undefined ? '  ' : '    ', severalAtOnce(history.scenarios) ? `${scenario}: ${name}` : name, start))),
		...history.waits.filter(({state}) => state === 'running').map(({name, start, deadline, last}) => row('  ', `until ${name}`, start, `of ${formatSeconds(deadline)}${last === undefined ? '' : `: ${last}`}`)),
	];
}
