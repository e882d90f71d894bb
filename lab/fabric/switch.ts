/**
 * A learning Ethernet switch (IEEE 802.1D, clauses 7.8 and 7.9, without spanning tree: a lab's networks have no loops). It
 * decides where a frame goes; carrying it there is the ports' matter.
 */
import type {DropReason} from './counters.ts';

/** How long a station that is silent is remembered, in milliseconds (802.1D, table 7-5: 300 s). */
export const ageingTime = 300_000;
/** Addresses that are remembered at most: a guest that makes up addresses must not fill our memory. What is beyond is flooded. */
export const mostAddresses = 4096;
/** Bytes of an Ethernet header: no frame is shorter. */
export const shortestFrame = 14;
/** Bytes of the longest frame that is switched: the longest packet that a network can be declared for, and Linux sends (65535), with its header and a VLAN tag. */
export const longestSwitchedFrame = 65_535 + 18;

/** One station of the table. */
interface Station {
	port: number;
	/** Milliseconds, by the clock of the caller. */
	seenAt: number;
}

/** Where a frame goes: to the port with this number (from 0), or to all but its own. */
export type Way = 'flood' | number;

/** What is to be done with a frame; a reason to drop it where it goes nowhere. */
export type Verdict = Way | Extract<DropReason, 'runt' | 'giant' | 'same-port'>;

/** The table of one network. */
export interface SwitchTable {
	/**
	 * Learns where the frame came from and says where it goes.
	 *
	 * @param buffer holds the frame from `start` to `end`
	 * @param port where it came in
	 * @param now milliseconds, of a clock that does not go back
	 */
	decide(buffer: Buffer, start: number, end: number, port: number, now: number): Verdict;
	/** Forgets all stations of a port, when its machine has gone. */
	forget(port: number): void;
	/** How many stations are known. */
	readonly size: number;
	/** All stations, to go on with elsewhere. `now` is of the same clock as `decide`'s. */
	stations(now: number): KnownStation[];
}

/** A station as another table can take it over. */
export interface KnownStation {
	/** Its MAC address as a number of 48 bits. */
	readonly address: number;
	readonly port: number;
	/** Milliseconds since it was last seen. */
	readonly age: number;
}

/** Why no frame of this length is carried; undefined where it is. */
function unfit(length: number): 'runt' | 'giant' | undefined {
	return length < shortestFrame ? 'runt' : length > longestSwitchedFrame ? 'giant' : undefined;
}

/** What a wire between the ports 0 and 1 is: it learns nothing, and all that comes in at one end goes out at the other, whomever it is for. */
export function wireTable(): SwitchTable {
	return {
		decide: (_buffer, start, end, port) => unfit(end - start) ?? 1 - port,
		forget() {},
		size: 0,
		stations: () => [],
	};
}

/** A table that knows these stations already; an empty one without. `now` is of the same clock as `decide`'s. */
export function switchTable(known: readonly KnownStation[] = [], now = 0): SwitchTable {
	// An address as a number: 48 bits fit a double.
	const stations = new Map<number, Station>(known.map(({address, port, age}) => [address, {port, seenAt: now - age}]));

	const learn = (address: number, port: number, now: number): void => {
		const station = stations.get(address);
		if (station !== undefined) {
			station.port = port;
			station.seenAt = now;
			return;
		}

		if (stations.size >= mostAddresses) {
			for (const [old, {seenAt}] of stations) {
				if (now - seenAt > ageingTime) {
					stations.delete(old);
				}
			}
		}

		if (stations.size < mostAddresses) {
			stations.set(address, {port, seenAt: now});
		}
	};

	return {
		decide(buffer, start, end, port, now) {
			const reason = unfit(end - start);
			if (reason !== undefined) {
				return reason;
			}

			// The lowest bit of an address's first byte says that it is a group's; no station sends as one.
			if (((buffer[start + 6] ?? 0) & 1) === 0) {
				learn(addressAt(buffer, start + 6), port, now);
			}

			if (((buffer[start] ?? 0) & 1) === 1) {
				return 'flood';
			}

			const station = stations.get(addressAt(buffer, start));
			if (station === undefined || now - station.seenAt > ageingTime) {
				return 'flood';
			}

			return station.port === port ? 'same-port' : station.port;
		},
		forget(port) {
			for (const [address, station] of stations) {
				if (station.port === port) {
					stations.delete(address);
				}
			}
		},
		get size() {
			return stations.size;
		},
		stations: (now) => [...stations].map(([address, {port, seenAt}]) => ({address, port, age: now - seenAt})),
	};
}

function addressAt(buffer: Buffer, at: number): number {
	return buffer.readUInt16BE(at) * 0x1_0000_0000 + buffer.readUInt32BE(at + 2);
}
