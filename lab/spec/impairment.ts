/** What can be wrong with a link, as users declare it, and as numbers. The words are those of tc-netem(8) where it has some. */
import {failure} from '../host/failure.ts';
import {checkMatch, type FrameMatch, matchKeys, showMatch} from './frame-match.ts';
import {bitsPerSecond, bytes, type Duration, milliseconds, type Percentage, proportion, type Rate, showDuration, showProportion, showRate, showSize, type Size} from './units.ts';

/** Which way frames go on a link: from its machine into the network, or to the machine. */
export type LinkDirection = 'from' | 'to';

/** Both directions of a link. */
export const linkDirections: readonly LinkDirection[] = ['from', 'to'];

/** Losses that come in bursts (Gilbert-Elliott), beside those of `loss`: a burst is 1 / `leave` frames long in the mean. */
export interface BurstDeclaration {
	/** How likely a burst begins at a frame. */
	readonly enter: Percentage;
	/** How likely it ends at a frame. */
	readonly leave: Percentage;
	/** What is lost within one. Default '100%'. */
	readonly loss?: Percentage;
}

/** What is wrong with a link, for all frames or for those that match. Without a direction it is so in both, each by its own random numbers. */
export interface ImpairmentDeclaration {
	readonly direction?: LinkDirection;
	readonly match?: FrameMatch;
	/** Nothing passes. Stands alone. */
	readonly cut?: boolean;
	/** Frames that are lost, each independently of the others; with `burst` those outside of bursts. */
	readonly loss?: Percentage;
	readonly burst?: BurstDeclaration;
	readonly delay?: Duration;
	/** The delay varies by up to so much, evenly; frames overtake each other by it. Needs `delay`. */
	readonly jitter?: Duration;
	/** Frames that go at once, ahead of those that are delayed. Needs `delay`. */
	readonly reorder?: Percentage;
	/** Frames that come twice. */
	readonly duplicate?: Percentage;
	/** Frames that have one bit turned, somewhere behind their Ethernet header. */
	readonly corrupt?: Percentage;
	/** Frames leave one after the other at this rate, counted with their Ethernet headers. */
	readonly rate?: Rate;
	/** What may wait for `rate` and `delay`: frames, or a size. What is more is lost. Default 1000 frames. */
	readonly limit?: number | Size;
	/** Frames with more bytes than this behind their Ethernet header and VLAN tags vanish, and nobody is told: a black hole of the path's MTU. */
	readonly mtu?: number;
	/** Another seed makes other decisions. Default 0. */
	readonly seed?: number;
}

/** An impairment of one direction, in numbers. What can be told about the n-th frame that it applies to depends on the seed, the link, the direction and n alone. */
export interface Impairment {
	readonly direction: LinkDirection;
	readonly match?: FrameMatch;
	readonly cut?: true;
	/** Proportions, from 0 to 1, this and all others. */
	readonly loss?: number;
	readonly burst?: {readonly enter: number; readonly leave: number; readonly loss: number};
	/** Milliseconds. */
	readonly delay?: number;
	/** Milliseconds. */
	readonly jitter?: number;
	readonly reorder?: number;
	readonly duplicate?: number;
	readonly corrupt?: number;
	/** Bits per second. */
	readonly rate?: number;
	/** Frames, or bytes, that may wait. */
	readonly limit?: {readonly frames: number} | {readonly bytes: number};
	/** Bytes. */
	readonly mtu?: number;
	readonly seed?: number;
}

/** What a link has carrier for: '5s' with and '1s' without, again and again. */
export interface FlapDeclaration {
	readonly up: Duration;
	readonly down: Duration;
}

/** Is there a carrier, as the machine sees it: does its NIC have a cable? */
export type Carrier = 'up' | 'down';

/** The name of a link: 'node-1@cluster'. */
export function linkName(machine: string, network: string): string {
	return `${machine}@${network}`;
}

/** Milliseconds of a flapping carrier. Throws `bad-value` for a duration that is none, or is too short to be kept to. */
export function parseFlap({up, down}: FlapDeclaration): {up: number; down: number} {
	const times = {up: milliseconds(up), down: milliseconds(down)};
	const short = times.up < shortestFlap ? up : times.down < shortestFlap ? down : undefined;
	if (short !== undefined) {
		throw failure.badValue('time for a carrier to be up or down', short, 'at least 100ms');
	}

	return times;
}

const shortestFlap = 100;

/** Each direction's impairment of a declaration whose shape was checked. Throws `bad-value` where a value is none. */
export function parseImpairment(declared: ImpairmentDeclaration): Impairment[] {
	const {direction, match, cut, loss, burst, delay, jitter, reorder, duplicate, corrupt, rate, limit, mtu, seed} = declared;
	return (direction === undefined ? linkDirections : [direction]).map((one) => ({
		direction: one,
		...(match !== undefined && Object.keys(match).length > 0 && {match: checkMatch(match)}),
		...(cut === true && {cut}),
		...(loss !== undefined && {loss: proportion(loss)}),
		...(burst !== undefined && {burst: {enter: proportion(burst.enter), leave: proportion(burst.leave), loss: proportion(burst.loss ?? '100%')}}),
		...(delay !== undefined && {delay: milliseconds(delay)}),
		...(jitter !== undefined && {jitter: milliseconds(jitter)}),
		...(reorder !== undefined && {reorder: proportion(reorder)}),
		...(duplicate !== undefined && {duplicate: proportion(duplicate)}),
		...(corrupt !== undefined && {corrupt: proportion(corrupt)}),
		...(rate !== undefined && {rate: bitsPerSecond(rate)}),
		...(limit !== undefined && {limit: typeof limit === 'number' ? {frames: limit} : {bytes: bytes(limit)}}),
		...(mtu !== undefined && {mtu}),
		...(seed !== undefined && {seed}),
	}));
}

/** Do two impairments apply to the same frames of a link? Then one takes the place of the other. */
export function sameFrames(one: Impairment, other: Impairment): boolean {
	return one.direction === other.direction && matchKeys.every((key) => one.match?.[key] === other.match?.[key]);
}

/** An impairment in words: 'tcp port 443: loss 5%, delay 20ms jitter 5ms'. The direction is left out. */
export function showImpairment(impairment: Impairment): string {
	const {match, cut, loss, burst, delay, jitter, reorder, duplicate, corrupt, rate, limit, mtu, seed} = impairment;
	const words = [
		cut === true && 'cut',
		loss !== undefined && `loss ${showProportion(loss)}`,
		burst !== undefined && `burst ${showProportion(burst.enter)} ${showProportion(burst.leave)}${burst.loss === 1 ? '' : ` loss ${showProportion(burst.loss)}`}`,
		delay !== undefined && `delay ${showDuration(delay)}${jitter === undefined ? '' : ` jitter ${showDuration(jitter)}`}`,
		reorder !== undefined && `reorder ${showProportion(reorder)}`,
		duplicate !== undefined && `duplicate ${showProportion(duplicate)}`,
		corrupt !== undefined && `corrupt ${showProportion(corrupt)}`,
		rate !== undefined && `rate ${showRate(rate)}`,
		limit !== undefined && `limit ${'frames' in limit ? limit.frames : showSize(limit.bytes)}`,
		mtu !== undefined && `mtu ${mtu}`,
		seed !== undefined && seed !== 0 && `seed ${seed}`,
	].filter((word) => word !== false);
	return `${match === undefined ? '' : `${showMatch(match)}: `}${words.join(', ')}`;
}
