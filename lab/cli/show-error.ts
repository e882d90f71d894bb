/** What a command failed with, as the person reads it. */

/** Shows an error on stderr and gives its exit code. The renderer is loaded only now. */
export async function showError(thrown: unknown): Promise<number> {
	const [{asLabError}, {renderError}] = await Promise.all([import('../host/error.ts'), import('../report/error-text.ts')]);
	const error = asLabError(thrown);
	process.stderr.write(`${renderError(error.toJSON(), {color: process.stderr.isTTY && process.stderr.hasColors()})}\n`);
	return error.exitCode;
}
