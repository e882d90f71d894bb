/** Whether connections are spread evenly. */

/**
 * What is uneven about connections that were spread over `names`, as sentences; none when each share is within so many
 * standard deviations of even, and no name gets none. With each connection going to each name alike, a share is binomial: of n connections over
 * k names, n/k with a standard deviation of sqrt(n * 1/k * (1 - 1/k)). Five of them are left by chance once in some
 * million runs. A name that gets none is within them where connections are few (of 40 over 4 names, 10 each with a deviation of 2.7).
 *
 * @param counts connections by name
 */
export function findUneven(counts: ReadonlyMap<string, number>, names: readonly string[], deviations = 5): string[] {
	const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
	const mean = total / names.length;
	const deviation = Math.sqrt(total * (1 / names.length) * (1 - 1 / names.length));
	const strangers = [...counts.keys()].filter((name) => !names.includes(name)).map((name) => `${name} answered, which is none of those expected`);
	const uneven = names.flatMap((name) => {
		const count = counts.get(name) ?? 0;
		const off = Math.abs(count - mean);
		return count === 0 || off > deviations * deviation
			? [`${name} got ${count} of ${total}; even is ${mean.toFixed(0)}, and ${count === 0 ? 'none' : `more than ${(deviations * deviation).toFixed(0)} from that`} is not chance`]
			: [];
	});
	return [...strangers, ...uneven];
}

/** How often each value is there. */
export function countEach(values: readonly string[]): Map<string, number> {
	const counts = new Map<string, number>();
	for (const value of values) {
		counts.set(value, (counts.get(value) ?? 0) + 1);
	}

	return counts;
}
