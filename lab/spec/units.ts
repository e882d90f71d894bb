/**
 * Durations, sizes, rates and proportions. At the edges they are text with a unit ('90s', '2GiB', '10Mbit', '5%'); inside they are plain numbers whose names
 * or docstrings give the unit: milliseconds, bytes, bits per second, and from 0 to 1.
 */
import {failure} from '../host/failure.ts';

/** A duration as a person writes it: '500ms', '90s', '10m', '2h'. */
export type Duration = `${number}${'ms' | 's' | 'm' | 'h'}`;

/** A size as a person writes it: '512MiB', '2GiB'; powers of 1024 only. */
export type Size = `${number}${'KiB' | 'MiB' | 'GiB'}`;

/** A rate as tc(8) writes it: '512Kbit', '10Mbit'; per second, in powers of 1000. */
export type Rate = `${number}${'bit' | 'Kbit' | 'Mbit' | 'Gbit' | 'kbit' | 'mbit' | 'gbit'}`;

/** A proportion as a person writes it: '5%', '0.1%'. */
export type Percentage = `${number}%`;

const durationUnits: Record<string, number> = {ms: 1, s: 1000, m: 60_000, h: 3_600_000};
const sizeUnits: Record<string, number> = {KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3};
const rateUnits: Record<string, number> = {bit: 1, Kbit: 1000, Mbit: 1000 ** 2, Gbit: 1000 ** 3, kbit: 1000, mbit: 1000 ** 2, gbit: 1000 ** 3};

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
	const time = parse(duration, durationUnits, 'duration', '90s');
	if (time === 0 && Number.parseFloat(duration) !== 0) {
		throw failure.badValue('duration', duration, 'at least 1ms, or 0');
	}

	return time;
}

/** Bytes of a size. Throws a declaration error when the text is none. */
export function bytes(size: Size | string): number {
	return parse(size, sizeUnits, 'size', '2GiB');
}

/** Bits per second of a rate. Throws a declaration error when the text is none, or nothing would ever pass. */
export function bitsPerSecond(rate: Rate | string): number {
	const bits = parse(rate, rateUnits, 'rate', '10Mbit');
	if (bits < 1) {
		throw failure.badValue('rate', rate, 'at least 1bit; `cut` lets nothing pass');
	}

	return bits;
}

/** A percentage as a number from 0 to 1. Throws a declaration error when the text is none, or it is more than 100 %. */
export function proportion(percentage: Percentage | string): number {
	const match = /^(\d+(?:\.\d+)?)%$/.exec(percentage);
	const value = Number(match?.[1]);
	if (match === null || value > 100) {
		throw failure.badValue('percentage', percentage, 'a number from 0 to 100 with %, such as 5% or 0.1%');
	}

	return value / 100;
}

/** The largest unit in which a number is at least 1, and is told in full. */
function show(value: number, units: ReadonlyArray<readonly [unit: string, size: number]>): string {
	const [unit, size] = units.findLast(([, each]) => value >= each) ?? units[0]!;
	return `${Number((value / size).toPrecision(6))}${unit}`;
}

/** Milliseconds as a duration: '20ms', '1.5s'. */
export function showDuration(time: number): string {
	return show(time, [['ms', 1], ['s', 1000]]);
}

/** Bytes as a size, or as `bytes` where there are few: '512bytes', '256KiB'. */
export function showSize(size: number): string {
	return show(size, [['bytes', 1], ['KiB', 1024], ['MiB', 1024 ** 2], ['GiB', 1024 ** 3]]);
}

/** Bits per second as a rate: '10Mbit'. */
export function showRate(rate: number): string {
	return show(rate, [['bit', 1], ['Kbit', 1000], ['Mbit', 1000 ** 2], ['Gbit', 1000 ** 3]]);
}

/** A number from 0 to 1 as a percentage: '0.1%'. */
export function showProportion(value: number): string {
	return `${Number((value * 100).toPrecision(6))}%`;
}
