/** Claims in steps. */
import {inspect} from 'node:util';

/**
 * Says what must hold. `message` is what is wrong when it does not, as one sentence; each of `details`, or a
 * text alone, is a line of the report below it, and what is no text is shown as node:util's inspect shows it: the result of a command, say.
 *
 * @throws an Error, which fails the step around it
 */
export function claim(holds: unknown, message: string, details: string | readonly unknown[] = []): asserts holds {
	if (!holds) {
		throw new Error([message, ...[details].flat().map((detail) => (typeof detail === 'string' ? detail : inspect(detail)))].join('\n'));
	}
}
