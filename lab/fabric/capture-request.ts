/** What a capture is to have, and the names of links. */
import {failure} from '../host/failure.ts';
import {checkMatch, type FrameMatch} from '../spec/frame-match.ts';
import {type LinkDirection, linkName} from '../spec/impairment.ts';
import type {NetworkDeclaration} from './network.ts';

/** What is to be captured: all of it that is said here. */
export interface CaptureRequest {
	/** Names of links; default all. */
	readonly links?: readonly string[];
	/** Names of networks, for all of their links; default all. */
	readonly networks?: readonly string[];
	/** Of the machine; default both. */
	readonly direction?: LinkDirection;
	readonly match?: FrameMatch;
	/** Bytes of each frame that are captured at most; default all of them. The recorder has 256. */
	readonly snapLength?: number;
	/** Ends after so many frames. */
	readonly count?: number;
	/** What was recorded instead of what comes: between these moments, in milliseconds since 1970. */
	readonly recorded?: {readonly since?: number; readonly until?: number};
}

/** Begins the comment that a capture has for a frame that was dropped; the reason follows. */
export const droppedPrefix = 'dropped: ';

/** The names of all links: network by network, each in the order of its ports. */
export function linkNames(networks: ReadonlyArray<Pick<NetworkDeclaration, 'name' | 'ports'>>): string[] {
	return networks.flatMap(({name: own, ports}) => ports.map(({name, network = own}) => linkName(name, network)));
}

/** The machine and the network of a link's name. */
export function linkEnds(link: string): {readonly machine: string; readonly network: string} {
	const [machine = '', network = ''] = link.split('@');
	return {machine, network};
}

/**
 * The links that a capture is of, out of all that there are.
 *
 * @throws `unknown-link`, `unknown-network`, `usage`, and what `checkMatch` throws
 */
export function capturedLinks({links, networks, match, snapLength, count}: CaptureRequest, all: readonly string[]): string[] {
	const unknown = links?.find((link) => !all.includes(link));
	if (unknown !== undefined) {
		throw failure.unknownName('link', unknown, all);
	}

	const known = [...new Set(all.map((link) => linkEnds(link).network))];
	const other = networks?.find((network) => !known.includes(network));
	if (other !== undefined) {
		throw failure.unknownNetwork(other, known);
	}

	for (const [what, number] of [['snap length', snapLength], ['count', count]] as const) {
		if (number !== undefined && (!Number.isInteger(number) || number < 1)) {
			throw failure.usage(`A capture's ${what} cannot be ${number}`, 'It is a whole number, 1 or more.');
		}
	}

	checkMatch(match ?? {});
	const found = all.filter((link) => (links === undefined || links.includes(link)) && (networks === undefined || networks.includes(linkEnds(link).network)));
	if (found.length === 0) {
		throw failure.usage('No link is captured: none of the links is in the networks', `The lab's links are ${all.join(', ')}.`);
	}

	return found;
}
