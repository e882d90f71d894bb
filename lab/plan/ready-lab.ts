/** A lab that is ready, as the last stage of the chain: a build product like the others. */
import {digestOf} from '../host/digest.ts';
import type {Plan} from './plan.ts';

/** The stage's name. */
export const readyLabName = 'ready lab';
/** That of a lab that is a late change of another one. */
export const changedLabName = 'changed lab';

/** The name of the stage that the ready lab of a plan is. */
export function readyStageName(plan: Plan): string {
	return plan.change === undefined ? readyLabName : changedLabName;
}

/** To be raised when what a frozen lab holds, or how it is made, changes. */
const revision = 7;

/**
 * All that a frozen lab depends on, as plain data: it is kept with it, and tells why another one is needed.
 *
 * Machines have their layers mapped and remember what is in them, so that the bytes count and not only how they were made.
 */
export interface ReadyLabInputs {
	/** Hex; Plan.key. */
	readonly plan: string;
	/** Names of the stages that machines run on -> hex sha256 of their content. */
	readonly stages: Readonly<Record<string, string>>;
	/** How it was made, and what it holds: `revision` of then. Frozen labs of before that was kept have none. */
	readonly revision?: number;
	/** What of this computer the state of a machine depends on: name -> version or model. */
	readonly computer: Readonly<Record<string, string>>;
}

/** The stages that machines of a plan run on, by name. */
export function readyLabNeeds(plan: Plan): string[] {
	return [...new Set(plan.machines.flatMap(({stages}) => Object.values(stages)))].sort();
}

/** Collects the inputs; `made` are the stages of the plan, by name. Throws for a stage that was not made. */
export function readyLabInputs(plan: Plan, made: ReadonlyMap<string, {readonly digest: string}>, computer: ReadyLabInputs['computer']): ReadyLabInputs {
	return {
		revision,
		plan: plan.key,
		stages: Object.fromEntries(readyLabNeeds(plan).map((name) => {
			const stage = made.get(name);
			if (stage === undefined) {
				throw new Error(`the stage "${name}" of the plan was not made`);
			}

			return [name, stage.digest];
		})),
		computer,
	};
}

/** The key of the stage: hex sha256 of its inputs. */
export function readyLabKey(inputs: ReadyLabInputs): string {
	return digestOf({kind: readyLabName, ...inputs});
}

/** In what the inputs of two frozen labs of one plan differ, as clauses: 'qemu was A and is B'. */
export function readyLabChanges(before: ReadyLabInputs, now: ReadyLabInputs): string[] {
	const changed = (a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): string[] => Object.keys({...a, ...b}).filter((name) => a[name] !== b[name]).sort();
	return [
		...(before.revision === now.revision ? [] : ['another version of vmlab froze it, in another form']),
		...changed(before.computer, now.computer).map((name) => `${name} was ${before.computer[name] ?? 'unknown'} and is ${now.computer[name] ?? 'unknown'}`),
		...changed(before.stages, now.stages).map((name) => `the stage ${name} was made again, with another content`),
	];
}
