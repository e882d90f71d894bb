/** What an overlay's functions answer: asked in one place, so that what they throw or get wrong is told in one way. */
import path from 'node:path';
import {LabError} from '../host/error.ts';
import type {LoadedOverlay} from '../spec/load.ts';
import {problemsOf, type Shape} from '../spec/schema.ts';
import {placeOfException, showPlace} from '../spec/source-place.ts';

/** The functions of a manifest, by name. */
export type Question = Extract<Shape, 'needs' | 'components' | 'images' | 'kernel' | 'routes' | 'files' | 'units' | 'restartInForks' | 'ready' | 'evidence' | 'forwards' | 'access'>;

/**
 * Calls a function of an overlay.
 *
 * @param of the machine it is asked about, for the sentence; '' where it is about the lab
 * @param call what calls it; undefined is passed on where the overlay has no such function
 * @returns the answer, or undefined when it was wrong: what is wrong has been added to the problems
 */
export function ask<Answer>(
	overlay: LoadedOverlay,
	question: Question,
	of: string,
	call: () => Answer | undefined,
	problems: string[],
): Answer | undefined {
	const what = `overlay \`${overlay.name}\`: ${question}${of === '' ? '' : ` of ${of}`}`;
	let answer;
	try {
		answer = call();
	} catch (error) {
		const place = placeOfException(error, overlay.folder);
		const message = error instanceof LabError && error.hint !== undefined ? `${error.message}. ${error.hint}` : error instanceof Error ? error.message : String(error);
		problems.push(`${what} threw: ${message}${place === undefined ? '' : ` (${showPlace(place, path.resolve(overlay.folder, '../..'))})`}`);
		return undefined;
	}

	if (answer === undefined) {
		return undefined;
	}

	const wrong = problemsOf(question, answer);
	problems.push(...wrong.map(({text}) => `${what}: ${text}`));
	return wrong.length === 0 ? answer : undefined;
}
