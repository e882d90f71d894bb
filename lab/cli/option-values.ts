/** What the values of options must be. A wrong one is a mistake of usage, though a declaration may have the same kind of value. */
import {failure} from '../host/failure.ts';
import {milliseconds} from '../spec/units.ts';

/** A whole number. The option is declared as a text, so that what was written can be told. Throws `usage`. */
export function wholeNumber(option: string, text: string, least = 1): number {
	if (!/^\d+$/.test(text) || Number(text) < least || !Number.isSafeInteger(Number(text))) {
		throw failure.usage(`--${option} is a whole number from ${least}, not \`${text}\``);
	}

	return Number(text);
}

/** A duration, in milliseconds. Throws `usage`. */
export function duration(option: string, text: string): number {
	try {
		return milliseconds(text);
	} catch {
		throw failure.usage(`--${option} is a duration such as 90s, 5m or 720h, not \`${text}\``);
	}
}
