/** Claims in steps. */

/**
 * Says what must hold. `message` is what is wrong when it does not, as one sentence; each of `details` is a line of the
 * report below it.
 *
 * @throws an Error, which fails the step around it
 */
export function claim(holds: unknown, message: string, details: readonly string[] = []): asserts holds {
	if (!holds) {
		throw new Error([message, ...details].join('\n'));
	}
}
