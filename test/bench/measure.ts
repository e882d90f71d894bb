/** What the rows of the benchmark are made of, and how commands are timed. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {setTimeout as delay} from 'node:timers/promises';
import {vmlab, outcomeText, type CommandOptions, type CommandOutcome} from '../rig/command.ts';

/** One measured figure, as `--json` writes it. */
export interface Row {
	readonly name: string;
	readonly value: number;
	/** 'times', 's', 'MiB', 'stages', '%'. */
	readonly unit: string;
	/** The goal as a person reads it, and null where none is set. */
	readonly goal: string | null;
	/** Is the goal met? null where none is set. */
	readonly met: boolean | null;
	/** What the figure was made from, measured in the same run. */
	readonly compared: Readonly<Record<string, number | string>>;
}

/** What the person who starts the benchmark can set for all rows. */
export interface BenchOptions {
	/** How long a row that is measured for minutes is; undefined: as long as its figure says. */
	readonly minutes: number | undefined;
}

/** Takes a row as soon as it is measured, so that what fails later does not take it along. */
export type RowSink = (row: Row) => Promise<void>;

/** The middle one of the values; of an even number, the mean of the middle two. */
export function median(values: readonly number[]): number {
	const sorted = [...values].sort((a, b) => a - b);
	const middle = Math.floor(sorted.length / 2);
	return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Two digits after the point are more than these machines repeat. */
export function round(value: number): number {
	return Math.round(value * 100) / 100;
}

/**
 * Measures several ways in turn, so that what else the computer does meets all alike, each round in another order, so that none is always the first.
 *
 * @returns what each way gave, in the order of the rounds
 */
export async function inTurns<Way extends string, Value>(rounds: number, ways: Readonly<Record<Way, () => Promise<Value>>>): Promise<Record<Way, Value[]>> {
	const names = Object.keys(ways) as Way[];
	const seen = Object.fromEntries(names.map((name) => [name, [] as Value[]])) as Record<Way, Value[]>;
	for (let round = 0; round < rounds; round++) {
		for (let turn = 0; turn < names.length; turn++) {
			const name = names[(round + turn) % names.length]!;
			seen[name].push(await ways[name]());
		}
	}

	return seen;
}

/** Lets so many milliseconds pass in which something is measured. */
export async function pass(milliseconds: number): Promise<void> {
	await delay(milliseconds);
}

/** Seconds that `node` with these words takes from start to end. Throws when it fails. */
export async function timeNode(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<number> {
	const start = performance.now();
	const child = spawn(process.execPath, words, {stdio: ['ignore', 'ignore', 'inherit'], env: {...process.env, NODE_OPTIONS: '', ...env}});
	const [code] = await once(child, 'close') as [number | null];
	if (code !== 0) {
		throw new Error(`node ${words.join(' ')} ended with ${code}`);
	}

	return (performance.now() - start) / 1000;
}

/**
 * How many times longer `words` take than `node -e 0`. One after the other in turn, so that what else the computer does
 * meets both alike.
 */
export async function compareWithNode(words: readonly string[], rounds: number): Promise<{ratio: number; seconds: number; baseline: number}> {
	const baseline: number[] = [];
	const measured: number[] = [];
	for (let round = 0; round <= rounds; round += 1) {
		const pair = [await timeNode(['-e', '0']), await timeNode(words)] as const;
		// The first round fills the page cache.
		if (round > 0) {
			baseline.push(pair[0]);
			measured.push(pair[1]);
		}
	}

	return {ratio: median(measured) / median(baseline), seconds: median(measured), baseline: median(baseline)};
}

/** Runs vmlab, and throws with its whole output when it fails. */
export async function mustRun(words: readonly string[], options: CommandOptions = {}): Promise<CommandOutcome> {
	const outcome = await vmlab(words, options);
	if (outcome.code !== 0) {
		throw new Error(`vmlab ${words.join(' ')}: ${outcomeText(outcome)}`);
	}

	return outcome;
}
