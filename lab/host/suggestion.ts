/** Suggestions for mistyped names. */

/** Edit distance with transposition of neighbours (optimal string alignment). */
function distance(a: string, b: string): number {
	let older: number[] = [];
	let previous = Array.from({length: b.length + 1}, (_, index) => index);
	for (let i = 1; i <= a.length; i++) {
		const current = [i];
		for (let j = 1; j <= b.length; j++) {
			const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
			let least = Math.min(previous[j]! + 1, current[j - 1]! + 1, replaced);
			if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
				least = Math.min(least, older[j - 2]! + 1);
			}

			current.push(least);
		}

		older = previous;
		previous = current;
	}

	return previous[b.length]!;
}

/** The known name that was most likely meant, or undefined when none is near. Case does not count. */
export function suggest(name: string, known: readonly string[]): string | undefined {
	const near = known
		.map((candidate) => ({candidate, away: distance(name.toLowerCase(), candidate.toLowerCase())}))
		.filter(({candidate, away}) => away <= Math.max(1, Math.floor(Math.min(candidate.length, name.length) / 3)))
		.sort((a, b) => a.away - b.away || (a.candidate < b.candidate ? -1 : 1));
	return near[0]?.candidate;
}
