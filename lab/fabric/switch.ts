/**
 * A learning Ethernet switch (IEEE 802.1D, clauses 7.8 and 7.9, without spanning tree: a lab's networks have no loops). It
 * decides where a frame goes; carrying it there is the ports' matter.
 */

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

/** What is to be done with a frame. Ports are numbers, from 0. */
export type Verdict = 'drop' | 'flood' | number;

/** The table of one network. */
export interface SwitchTable {
	/**
	 * Learns where the frame came from and says where it goes: to one port, to all but its own (`flood`), or nowhere.
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

/** What a wire is: it learns nothing, and all that comes in at one end goes out at the other, whomever it is for. */
export function wireTable(): SwitchTable {
	return {
		decide: (_buffer, start, end) => (end - start < shortestFrame || end - start > longestSwitchedFrame ? 'drop' : 'flood'),
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
			const length = end - start;
			if (length < shortestFrame || length > longestSwitchedFrame) {
				return 'drop';
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

			return station.port === port ? 'drop' : station.port;
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
