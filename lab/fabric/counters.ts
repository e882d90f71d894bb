/** What is counted at a port: frames, and what became of those that did not arrive. */

/** Why a frame went no further. */
export type DropReason =
	/** Shorter than an Ethernet header, or longer than any frame that is switched. */
	| 'runt' | 'giant'
	/** No frame at all: the machine was disconnected for it. */
	| 'broken'
	/** On a trunk, without a tag, or with one of a VLAN that the trunk has not; with a tag, where there are none. */
	| 'untagged' | 'other-vlan' | 'tagged'
	/** For a station on the port that it came from. */
	| 'same-port'
	/** More came in than is kept while a network is held. */
	| 'held'
	/** No machine is connected, or it does not read what it is given. */
	| 'not-connected' | 'not-read'
	/** What a link's impairments do: see `Impairment`. */
	| 'loss' | 'cut' | 'too-long' | 'queue-full'
	/** The link has no carrier. */
	| 'no-carrier';

/** Each as a few words, for who looks at a frame that went no further. */
export const dropReasons: Readonly<Record<DropReason, string>> = {
	runt: 'too short', giant: 'too long', broken: 'no frame, so that the machine was disconnected', untagged: 'without a VLAN tag, on a trunk', 'other-vlan': 'of a VLAN that the trunk does not have', tagged: 'with a VLAN tag, where the link is in one VLAN without tags',
	'same-port': 'its station is on the link that it came from',
	held: 'the network stands still, and has kept all that it can',
	'not-connected': 'nobody is connected', 'not-read': 'the machine does not read what it is given',
	loss: 'lost, as the link is set', cut: 'the link is cut', 'too-long': 'longer than the link\'s mtu is set', 'queue-full': 'the link\'s queue is full',
	'no-carrier': 'the link has no carrier',
};

/** How many frames went no further, by reason; a reason that is not there has none. */
export type Drops = Partial<Record<DropReason, number>>;

/** What went through a port, seen from the fabric: `in` came from the machine, `out` went to it. Bytes are those of frames. */
export interface PortCounters {
	framesIn: number;
	bytesIn: number;
	framesOut: number;
	bytesOut: number;
	/** Frames for the machine that it did not get, for any reason. */
	droppedOut: number;
	/** Frames from the machine that went nowhere, for any reason. */
	droppedIn: number;
	/** `droppedOut` and `droppedIn` by reason. */
	readonly dropsOut: Drops;
	readonly dropsIn: Drops;
}

/** The counters of a port that has just been opened. */
export function newCounters(): PortCounters {
	return {framesIn: 0, bytesIn: 0, framesOut: 0, bytesOut: 0, droppedOut: 0, droppedIn: 0, dropsOut: {}, dropsIn: {}};
}

/** Counts a frame from the machine that went nowhere. */
export function countDroppedIn(counters: PortCounters, reason: DropReason): void {
	counters.droppedIn += 1;
	counters.dropsIn[reason] = (counters.dropsIn[reason] ?? 0) + 1;
}

/** Counts a frame for the machine that it did not get. */
export function countDroppedOut(counters: PortCounters, reason: DropReason): void {
	counters.droppedOut += 1;
	counters.dropsOut[reason] = (counters.dropsOut[reason] ?? 0) + 1;
}
