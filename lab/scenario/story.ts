/** The lines of the report: steps, one level of steps within them, and negative controls. */
import {AsyncLocalStorage} from 'node:async_hooks';
import type {EventSink} from '../event/event.ts';
import {asLabError, type LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {asStepFailure, refutes} from './claim.ts';
import {callPlace} from './place.ts';

/** What is around the code that runs now. */
interface Surroundings {
	readonly step: string;
	readonly depth: 1 | 2;
	/** Within a negative control failures are wanted, so no line of the report may come of them. */
	readonly refuting?: true;
}

interface RunningStep {
	readonly title: string;
	readonly parent: string | undefined;
	/** Of `performance.now()`. */
	start: number;
}

/** A step, not one within a step, that has passed, with what it gave: an Error for a negative control. */
export interface PassedStep {
	readonly title: string;
	readonly value: unknown;
}

/** What is done with the steps beside running them. */
export interface StoryOptions {
	/** Called before each step that is not within another; the step begins when it has resolved. The signal aborts when the scenario is to end. */
	readonly before?: ((title: string, passed: readonly PassedStep[], signal: AbortSignal) => Promise<void>) | undefined;
	/** Steps that passed in the lab before: they are not run again, and give what they gave. */
	readonly recalled?: readonly PassedStep[] | undefined;
}

/** Keeps the order of steps, tells their events, and remembers the first failure. */
export class Story {
	readonly #scenario: string;
	readonly #events: EventSink;
	/** Aborts when the scenario is to end, with the reason. */
	readonly #signal: AbortSignal;
	readonly #surroundings = new AsyncLocalStorage<Surroundings>();
	/** Titles, each under its parent's. */
	readonly #told = new Set<string>();
	/** Steps that run, outermost first. */
	readonly #running: RunningStep[] = [];
	readonly #passed: PassedStep[] = [];
	readonly #options: StoryOptions;
	#failed: LabError | undefined;
	#began: number | undefined;

	constructor(scenario: string, events: EventSink, signal: AbortSignal, options: StoryOptions = {}) {
		this.#scenario = scenario;
		this.#events = events;
		this.#signal = signal;
		this.#options = options;
	}

	/** The titles of the steps that run now, outermost first. */
	get running(): readonly string[] {
		return this.#running.map(({title}) => title);
	}

	/** When the last step that is not within another began, in milliseconds since 1970; undefined before the first. */
	get began(): number | undefined {
		return this.#began;
	}

	/** Runs a step; see `StepContext.step`. */
	step<Value>(title: string, run: () => Promise<Value>): Promise<Value> {
		const telling = this.#tell(title, run);
		// A step without `await` is reported by `finish`; its rejection must not end the process before.
		telling.catch(() => {});
		return telling;
	}

	async #tell<Value>(title: string, run: () => Promise<Value>): Promise<Value> {
		const around = this.#surroundings.getStore();
		this.#check(title, around);
		const step: RunningStep = {title, parent: around?.step, start: performance.now()};
		this.#told.add(key(step.parent, title));
		const recalled = around === undefined ? this.#options.recalled?.find((known) => known.title === title) : undefined;
		if (recalled !== undefined) {
			this.#passed.push(recalled);
			return recalled.value as Value;
		}

		this.#running.push(step);
		let begun = false;
		const begin = (): void => {
			begun = true;
			step.start = performance.now();
			this.#began = around === undefined ? Date.now() : this.#began;
			this.#events({type: 'step', reason: 'started', ...this.#names(step)});
		};

		try {
			if (around === undefined) {
				await this.#options.before?.(title, this.#passed, this.#signal);
				this.#signal.throwIfAborted();
			}

			begin();
			const value = await this.#surroundings.run({step: title, depth: around === undefined ? 1 : 2}, run);
			if (this.#leave(step)) {
				this.#events({type: 'step', reason: 'passed', ...this.#names(step), seconds: secondsOf(step)});
			}

			if (around === undefined) {
				this.#passed.push({title, value});
			}

			return value;
		} catch (thrown) {
			if (!begun) {
				begin();
			}

			// Once the scenario is to end, what a step rejects with is only the consequence.
			const error = this.#signal.aborted ? asLabError(this.#signal.reason) : asStepFailure(title, thrown);
			this.#failed ??= error;
			this.#fail(step, error);
			throw error;
		}
	}

	#names(step: RunningStep): {scenario: string; step: string; parent?: string} {
		return {scenario: this.#scenario, step: step.title, ...(step.parent === undefined ? {} : {parent: step.parent})};
	}

	/** Takes a step off the running ones; false when it was off already. */
	#leave(step: RunningStep): boolean {
		const index = this.#running.indexOf(step);
		if (index !== -1) {
			this.#running.splice(index, 1);
		}

		return index !== -1;
	}

	#fail(step: RunningStep, error: LabError): void {
		if (this.#leave(step)) {
			this.#events({type: 'step', reason: 'failed', ...this.#names(step), seconds: secondsOf(step), error: error.toJSON()});
		}
	}

	/** Fails the steps that still run, innermost first: the scenario ends, whatever they do. */
	abandon(error: LabError): void {
		for (const step of this.#running.toReversed()) {
			this.#fail(step, error);
		}
	}

	#check(title: string, around: Surroundings | undefined): void {
		const misuse = (problem: string, hint: string): LabError => {
			const error = failure.stepMisused(title, problem, hint, callPlace());
			this.#failed ??= error;
			return error;
		};

		if (this.#failed !== undefined) {
			// The scenario has ended with its first failure, though the script caught it.
			throw this.#failed;
		}

		if (around?.refuting) {
			throw misuse('is inside a negative control', 'Call the check itself in `refuted`, without `step`.');
		}

		if (around?.depth === 2) {
			throw misuse(`is inside "${around.step}", which is inside a step itself`, 'Steps nest one level deep.');
		}

		if (around === undefined && this.#running.length > 0) {
			throw misuse(`starts while "${this.running[0]}" is running`, 'Write `await` before each `step(...)`.');
		}

		if (this.#told.has(key(around?.step, title))) {
			throw misuse('is there twice', 'Give each step a title of its own.');
		}
	}

	/**
	 * Runs a negative control; see `StepContext.refuted`. A line of the report, like a step; it says that the sentence did not come true.
	 *
	 * @param within what a step is run in, for which a control that refuted its sentence has passed
	 */
	refuted(sentence: string, run: () => Promise<unknown>, within: (step: () => Promise<Error>) => Promise<Error> = async (step) => step()): Promise<Error> {
		const place = callPlace();
		return this.step(refutedTitle(sentence), async () => within(async () => {
			const around = this.#surroundings.getStore() as Surroundings;
			try {
				await this.#surroundings.run({...around, refuting: true}, run);
			} catch (thrown) {
				if (!refutes(thrown)) {
					throw thrown;
				}

				return thrown instanceof Error ? thrown : new Error(String(thrown));
			}

			throw failure.notRefuted(sentence, place);
		}));
	}

	/**
	 * Ends the story after the script has returned.
	 *
	 * @throws the first step's failure, though the script caught it; `step-misused` for a step that still runs; `no-steps`
	 */
	finish(): void {
		if (this.#failed !== undefined) {
			throw this.#failed;
		}

		const [running] = this.running;
		if (running !== undefined) {
			throw failure.stepMisused(running, 'still runs at the end of the scenario', 'Write `await` before each `step(...)`.');
		}

		if (this.#told.size === 0) {
			throw failure.noSteps(this.#scenario);
		}
	}
}

/** What a negative control is called in reports. A sentence that says itself what it is stays. */
export function refutedTitle(sentence: string): string {
	return sentence.startsWith('control') ? sentence : `refuted: ${sentence}`;
}

function secondsOf(step: RunningStep): number {
	return (performance.now() - step.start) / 1000;
}

function key(parent: string | undefined, title: string): string {
	return JSON.stringify([parent, title]);
}
