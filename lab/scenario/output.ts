/** The end of a command's output, for errors. */

/** How many lines an error shows. */
const shownLines = 15;

/** The last lines of both outputs; errors last, since they say why. */
export function lastLines(result: {readonly stdout: string; readonly stderr: string}): string[] {
	return [result.stdout, result.stderr]
		.flatMap((text) => text.split('\n'))
		.map((line) => line.trimEnd())
		.filter((line) => line !== '')
		.slice(-shownLines);
}
