/**
 * Durations and sizes. At the edges they are text with a unit ('90s', '2GiB'); inside they are plain numbers whose names
 * or docstrings give the unit: milliseconds and bytes.
 */
import {failure} from '../host/failure.ts';

/** A duration as a person writes it: '500ms', '90s', '10m', '2h'. */
export type Duration = `${number}${'ms' | 's' | 'm' | 'h'}`;

/** A size as a person writes it: '512MiB', '2GiB'; powers of 1024 only. */
export type Size = `${number}${'KiB' | 'MiB' | 'GiB'}`;

const durationUnits: Record<string, number> = {ms: 1, s: 1000, m: 60_000, h: 3_600_000};
const sizeUnits: Record<string, number> = {KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3};

function parse(text: string, units: Record<string, number>, kind: string, example: string): number {
	const match = /^(\d+(?:\.\d+)?)([A-Za-z]+)$/.exec(text);
	const unit = match?.[2] === undefined ? undefined : units[match[2]];
	if (match?.[1] === undefined || unit === undefined) {
		throw failure.badValue(kind, text, `a number and one of ${Object.keys(units).join(', ')}, such as ${example}`);
	}

	return Math.round(Number(match[1]) * unit);
}

/** Milliseconds of a duration. Throws a declaration error when the text is none. */
export function milliseconds(duration: Duration | string): number {
	return parse(duration, durationUnits, 'duration', '90s');
}

/** Bytes of a size. Throws a declaration error when the text is none. */
export function bytes(size: Size | string): number {
	return parse(size, sizeUnits, 'size', '2GiB');
}
