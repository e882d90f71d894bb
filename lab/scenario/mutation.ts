/** A run that is changed on purpose: it passes when exactly the step fails that must, for the cause that it must. */
import type {EventSink, LabEvent} from '../event/event.ts';
import {asLabError, type FailureDescription, type LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import type {MutationDeclaration, StepContext} from './scenario.ts';

/** One such run. */
export interface Mutation {
	/** Takes the events of the story, and passes them on with the failure that is wanted as no failure. */
	readonly events: EventSink;
	/** To be called before each step that is not within another: makes the change when its time has come. */
	before(title: string, context: StepContext): Promise<void>;
	/** What the run comes to, by what the story failed with, or undefined where it passed: undefined when that is what was wanted. */
	verdict(error: LabError | undefined): LabError | undefined;
}

/** Begins a run with this change. */
export function mutate({summary, red, because, before: moment, apply}: MutationDeclaration, sink: EventSink): Mutation {
	let made = false;
	/** Why the change could not be made. */
	let broken: LabError | undefined;
	let wanted = false;
	const isCause = ({message, details = []}: Pick<FailureDescription, 'message' | 'details'>): boolean => because.test([message, ...details].join('\n'));
	/** The step that is to fail is told as such, so that nobody takes its failure for one. */
	const tell = (event: LabEvent): LabEvent => {
		if (event.type !== 'step' || (event.step !== red && event.parent !== red)) {
			return event;
		}

		const names = event.parent === undefined ? {step: toldTitle(red)} : {step: event.step, parent: toldTitle(event.parent)};
		if (event.reason !== 'failed' || broken !== undefined || !isCause(event.error)) {
			return {...event, ...names};
		}

		wanted ||= event.parent === undefined;
		const {error: _error, ...rest} = event;
		return {...rest, ...names, reason: 'passed'};
	};

	return {
		events(event) {
			sink(tell(event));
			if (event.type === 'step' && event.reason === 'failed' && event.step === red && wanted) {
				sink({type: 'note', level: 'info', text: `It failed as it must: ${event.error.message}`});
			}
		},
		async before(title, context) {
			if (made || title !== (moment ?? title)) {
				return;
			}

			made = true;
			sink({type: 'note', level: 'info', text: `The lab is changed: ${summary}`});
			try {
				await apply(context);
			} catch (error) {
				broken = failure.mutationMissed(summary, red, 'the change could not be made', asLabError(error));
				throw broken;
			}
		},
		verdict(error) {
			if (error === undefined) {
				return failure.mutationSurvived(summary, red);
			}

			if (wanted) {
				return undefined;
			}

			return broken ?? (error.kind === 'scenario' ? failure.mutationMissed(summary, red, 'something else did', error) : error);
		},
	};
}

/** The title in reports of the step that must fail. */
function toldTitle(title: string): string {
	return `must fail: ${title}`;
}
