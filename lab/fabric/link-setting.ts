/** What is set on a link, and what a change makes of it: pure. */
import {type Carrier, type Impairment, type LinkDirection, linkDirections, sameFrames, showImpairment} from '../spec/impairment.ts';
import {showDuration} from '../spec/units.ts';
import type {Progress} from './impairment.ts';

/** An impairment that is in force, and how far it is; without progress it begins. */
export interface ImpairmentInForce extends Impairment {
	readonly progress?: Progress & {
		/** Milliseconds until what is before the next frame has left at the impairment's rate. */
		readonly busy: number;
	};
}

/** All that is set on a link. */
export interface LinkSetting {
	readonly carrier: Carrier;
	/** Milliseconds that the carrier is there and is not, again and again; whoever owns the lab sees to it. */
	readonly flap?: {readonly up: number; readonly down: number};
	/** A frame is up to the first that means it, in its direction. Those that match come before those for all frames. */
	readonly impairments: readonly ImpairmentInForce[];
}

/** A link on which nothing is set. */
export const plainLink: LinkSetting = {carrier: 'up', impairments: []};

/** What is wrong with a link, in words: 'without carrier', 'from the machine: loss 5%', and without a direction what is so in both. None where nothing is. */
export function showSetting({carrier, flap, impairments}: LinkSetting): string[] {
	const [from, to] = linkDirections.map((direction) => new Set(impairments.filter((impairment) => impairment.direction === direction).map(showImpairment)));
	return [
		...(flap === undefined ? (carrier === 'up' ? [] : ['without carrier']) : [`flapping (${showDuration(flap.up)} with a carrier, ${showDuration(flap.down)} without)`]),
		...[...from!].map((words) => (to!.has(words) ? words : `from the machine: ${words}`)),
		...[...to!].filter((words) => !from!.has(words)).map((words) => `to the machine: ${words}`),
	];
}

/** A change of what is set on a link, which is known by its name. */
export type LinkChange =
	/** Each impairment takes the place of the one for the same frames, where there is one; else it comes before the others that match. */
	| {readonly kind: 'impair'; readonly link: string; readonly impairments: readonly Impairment[]}
	/** Takes all impairments away; without a direction of both, and the carrier is there again. */
	| {readonly kind: 'clear'; readonly link: string; readonly direction?: LinkDirection | undefined}
	| {readonly kind: 'carrier'; readonly link: string; readonly carrier: Carrier; readonly flap?: LinkSetting['flap'] | undefined}
	/** Sets all of it, as it was before a change. */
	| {readonly kind: 'put'; readonly link: string; readonly setting: LinkSetting};

/** What a change makes of what is set. */
export function changedSetting(setting: LinkSetting, change: LinkChange): LinkSetting {
	switch (change.kind) {
		case 'put': {
			return change.setting;
		}

		case 'carrier': {
			return {carrier: change.carrier, ...(change.flap !== undefined && {flap: change.flap}), impairments: setting.impairments};
		}

		case 'clear': {
			const {direction} = change;
			return direction === undefined ? plainLink : {...setting, impairments: setting.impairments.filter((impairment) => impairment.direction !== direction)};
		}

		case 'impair': {
			return {...setting, impairments: change.impairments.reduce(withImpairment, setting.impairments)};
		}
	}
}

function withImpairment(all: readonly ImpairmentInForce[], added: Impairment): readonly ImpairmentInForce[] {
	const place = all.findIndex((impairment) => sameFrames(impairment, added));
	if (place !== -1) {
		return all.map((impairment, index) => (index === place ? added : impairment));
	}

	return added.match === undefined ? [...all, added] : [added, ...all];
}

/** An impairment without how far it is. */
export function impairmentOf({progress: _progress, ...impairment}: ImpairmentInForce): Impairment {
	return impairment;
}
