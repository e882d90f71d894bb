/** Whether what a step rejected with says something about the claim, about the machines, or about the script. */
import {LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {lastLines} from './output.ts';
import {userFrames} from './place.ts';

/** Kinds that are no verdict on a claim: they pass through a step as they are. */
const notClaims: ReadonlySet<string> = new Set(['machine', 'interrupted', 'host', 'bug', 'declaration', 'usage', 'component']);

/** Errors by which it is not known whether a claim is true: what was to be seen was not, or not whole. */
const notSeen: ReadonlySet<string> = new Set(['recording-cut', 'several-flows', 'output-too-long', 'command-timed-out', 'command-cut-short', 'machine-not-ready']);

/** Errors that JavaScript itself throws for a mistake in the script. `fetch` says that a server is away with a TypeError that has a cause. */
function isMistake(thrown: unknown): boolean {
	return thrown instanceof ReferenceError || thrown instanceof SyntaxError || thrown instanceof RangeError
		|| (thrown instanceof TypeError && thrown.cause === undefined);
}

/**
 * Does this rejection refute a claim? What a broken machine or a mistake in the script rejects with does not, nor what says that nothing is known; and
 * a wait refutes what its last look does.
 */
export function refutes(thrown: unknown): boolean {
	if (thrown instanceof LabError && thrown.code === 'wait-expired' && thrown.cause !== undefined) {
		return refutes(thrown.cause);
	}

	return thrown instanceof LabError ? !notClaims.has(thrown.kind) && !notSeen.has(thrown.code) : !isMistake(thrown);
}

/** A program of the host that was run by zx rejects with its whole output. */
function isProgramOutput(thrown: unknown): thrown is {stdout: string; stderr: string; exitCode: number | null} {
	return typeof thrown === 'object' && thrown !== null && 'exitCode' in thrown && 'stdout' in thrown && 'stderr' in thrown;
}

/**
 * What a step rejected with, as the failure of that step. Failures that say nothing about the claim stay what they are.
 * Of the stack only the frames of the user's own files are told.
 */
export function asStepFailure(step: string, thrown: unknown): LabError {
	if (thrown instanceof LabError) {
		if (thrown.code === 'step-failed' || notClaims.has(thrown.kind)) {
			return thrown;
		}

		const [frame] = userFrames(thrown.stack);
		return failure.stepFailed(step, thrown.message, thrown.details, thrown.where ?? frame, thrown);
	}

	const [place, ...callers] = userFrames(thrown instanceof Error ? thrown.stack : undefined);
	const frames = callers.map(({file, line, column, call}) => `called from ${call === undefined ? '' : `${call}, `}${file}:${line}:${column}`);
	if (isProgramOutput(thrown)) {
		return failure.stepFailed(step, `a command on the host ended with exit code ${thrown.exitCode}`, [...lastLines(thrown), ...frames], place, thrown);
	}

	const message = thrown instanceof Error ? thrown.message : String(thrown);
	// An assertion's message may be many lines: the first says what, the rest shows the difference.
	const [first = '', ...rest] = message.split('\n').filter((line) => line.trim() !== '');
	const name = isMistake(thrown) ? `${(thrown as Error).name}: ` : '';
	return failure.stepFailed(step, `${name}${first}`, [...rest, ...frames], place && {file: place.file, ...(place.line && {line: place.line}), ...(place.column && {column: place.column})}, thrown);
}
