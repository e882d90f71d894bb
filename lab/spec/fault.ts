/** What can be wrong with a machine on purpose, as users say it, and as numbers. */
import {failure} from '../host/failure.ts';
import {bytes, type Duration, milliseconds, type Percentage, proportion, showDuration, showProportion, showSize, type Size} from './units.ts';

/** How far a clock is ahead of what it would be, or behind: '+90s', '-1h'. */
export type ClockSkew = `${'+' | '-'}${Duration}`;

/** How full a filesystem of a machine is made. */
export interface DiskFill {
	/** What is left. Default '0MiB': nothing. */
	readonly leave?: Size;
	/** A folder of the filesystem. Default '/', which is on the machine's disk as all is that no other filesystem is mounted over. */
	readonly path?: string;
}

/** How much memory is taken: of all that the machine has, or as a size. */
export type MemoryAmount = Percentage | Size;

/** All that is wrong with a machine on purpose. */
export interface MachineFaults {
	/** It has no power. */
	readonly power?: 'off';
	/** Its processors stand still. */
	readonly paused?: true;
	/** What it reads from its disk and writes to it waits. */
	readonly disk?: 'hung';
	/** Bytes that are left, and a folder of the filesystem. */
	readonly fill?: {readonly path: string; readonly leave: number};
	/** Milliseconds by which its clock is ahead; less than 0 where it is behind. */
	readonly skew?: number;
	/** A proportion of its memory, from 0 to 1, or bytes. */
	readonly memory?: {readonly share: number} | {readonly bytes: number};
}

/** Nothing is wrong. */
export const noFaults: MachineFaults = {};

/** Milliseconds of a skew. Throws `bad-value` for what is none. */
export function parseSkew(skew: ClockSkew | string): number {
	const match = /^([+-])(.+)$/.exec(skew);
	if (match?.[2] === undefined) {
		throw failure.badValue('skew of a clock', skew, 'a sign and a duration, such as +90s or -1h');
	}

	return (match[1] === '-' ? -1 : 1) * milliseconds(match[2]);
}

/** A fill in numbers. Throws `bad-value`. */
export function parseFill({leave = '0MiB', path = '/'}: DiskFill): NonNullable<MachineFaults['fill']> {
	if (!path.startsWith('/')) {
		throw failure.badValue('folder of a machine', path, 'an absolute path, such as /var/lib/etcd');
	}

	return {path, leave: bytes(leave)};
}

/** An amount in numbers. Throws `bad-value`. */
export function parseMemory(amount: MemoryAmount | string): NonNullable<MachineFaults['memory']> {
	const parsed = amount.endsWith('%') ? {share: proportion(amount)} : {bytes: bytes(amount)};
	if (Object.values(parsed)[0] === 0) {
		throw failure.badValue('size or part of memory', amount, 'more than nothing, such as 70% or 256MiB');
	}

	return parsed;
}

/** Milliseconds as a skew: '+90s'. */
export function showSkew(skew: number): string {
	return `${skew < 0 ? '-' : '+'}${showDuration(Math.abs(skew))}`;
}

const shown: {readonly [Key in keyof MachineFaults]-?: (value: NonNullable<MachineFaults[Key]>) => string} = {
	power: () => 'off',
	paused: () => 'paused',
	disk: () => 'disk hangs',
	fill: ({path, leave}) => `disk full${leave === 0 ? '' : ` but for ${showSize(leave)}`}${path === '/' ? '' : ` at ${path}`}`,
	skew: (skew) => `clock ${showSkew(skew)}`,
	memory: (memory) => `${'share' in memory ? showProportion(memory.share) : showSize(memory.bytes)} of memory taken`,
};

/** In the order in which they are told. */
const faultKeys = Object.keys(shown) as Array<keyof MachineFaults>;

/** What is wrong, in words: 'paused', 'clock +90s'. None where nothing is. */
export function showFaults(faults: MachineFaults): string[] {
	return faultKeys.flatMap((key) => (faults[key] === undefined ? [] : [(shown[key] as (value: unknown) => string)(faults[key])]));
}

/** The faults, in words, that the state of a machine does not say by itself. */
export function faultsBeyond(state: string, faults: readonly string[]): readonly string[] {
	return faults.filter((fault) => fault !== state);
}
