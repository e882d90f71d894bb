/** One layer-2 segment: a switch and its ports, or a wire. */
import path from 'node:path';
import {countDroppedIn, type DropReason, dropReasons, type PortCounters} from './counters.ts';
import {headerBytes} from './framing.ts';
import {type Link, type LinkEnds, type LinkReport, type LinkState, openLink} from './link.ts';
import {changedSetting, type LinkChange, type LinkSetting} from './link-setting.ts';
import {keepable, longestQueue, openPort, type Port} from './port.ts';
import {families, type Family} from '../spec/family.ts';
import type {FrameWitness} from './recorder.ts';
import {type KnownStation, switchTable, type SwitchTable, type Way, wireTable} from './switch.ts';
import {type NetworkTraffic, trafficCounter} from './traffic.ts';
import {accessPort, outgoingForms, trunkPort, type Vlan, type VlanPort} from './vlan.ts';
import {linkName} from '../spec/impairment.ts';

/** A network of the lab, and where its machines connect. */
export interface NetworkDeclaration {
	readonly name: string;
	/** What it is for; default both. Frames of other families are carried too, and told of. */
	readonly families?: readonly Family[];
	/**
	 * `name` is the machine's; `socket` a file, relative to the fabric's folder. `network` is what the link is named after where that is one of the VLANs, to which the port gives
	 * access; the other ports of a network with VLANs are trunks, which carry all of them.
	 */
	readonly ports: ReadonlyArray<{readonly name: string; readonly socket: string; readonly network?: string}>;
	/** Makes it a switch that knows VLANs; `families` as above. */
	readonly vlans?: ReadonlyArray<Vlan & {readonly families?: readonly Family[] | undefined}>;
	/** It is no switch, but a wire between two ports. */
	readonly wire?: boolean;
	/** Where it goes on from: then it is held, and carries nothing until it is released. */
	readonly state?: NetworkState | undefined;
}

/** All that a network is at one moment, as JSON has it: what another one goes on from. */
export interface NetworkState {
	readonly name: string;
	/** With the number of the VLAN that they are known in, where there are VLANs. */
	readonly stations: ReadonlyArray<KnownStation & {readonly vlan?: number}>;
	/** Frames on their way, with the port that they came from (a number, from 0), in base64 with QEMU's header before each. */
	readonly frames: ReadonlyArray<{readonly port: number; readonly frame: string}>;
	readonly traffic?: NetworkTraffic;
	/** Of its VLANs. */
	readonly vlanTraffic?: readonly NetworkTraffic[];
	/** Links on which something is set, or frames wait. */
	readonly links?: ReadonlyArray<LinkState & {readonly network?: string}>;
}

/** The counters of one port. */
export interface PortReport extends PortCounters {
	readonly network: string;
	readonly port: string;
}

/** An open network. */
export interface Network {
	readonly name: string;
	report(): PortReport[];
	/** All links, with what is set on them and what became of their frames. */
	links(): LinkReport[];
	/** Changes what is set on a link, and gives what was set before; undefined where no such link is here. */
	changeLink(change: LinkChange): LinkSetting | undefined;
	/** What machines have sent, and in which of its VLANs. */
	traffic(): NetworkTraffic[];
	/** From now on frames are taken from machines and kept, and none is given to one. */
	hold(): void;
	/** Has everything that was given to machines left our hands? */
	readonly flushed: boolean;
	/** Frames that came in so far. */
	readonly taken: number;
	/** What it is now; only while it is held does that stay so. */
	state(): NetworkState;
	/** Carries what was kept meanwhile, and goes on. */
	release(): void;
	close(): Promise<void>;
}

/**
 * Calls back in so many milliseconds, and gives what takes that back. A timer has whole milliseconds and is up to one late: it is set to be early instead, and for the
 * part of a millisecond that is left nobody sleeps.
 */
function callIn(milliseconds: number, call: () => void): () => void {
	if (milliseconds < 1) {
		const soon = setImmediate(call);
		return () => {
			clearImmediate(soon);
		};
	}

	const timer = setTimeout(call, Math.floor(milliseconds));
	return () => {
		clearTimeout(timer);
	};
}

/**
 * Opens all ports of the network.
 *
 * @param witness told of each frame on each link, and of those that were dropped; links are the numbers of ports
 * @throws the system's error when a socket cannot be made; none is left open then
 */
export async function openNetwork(declaration: NetworkDeclaration, folder: string, witness?: FrameWitness): Promise<Network> {
	const {state} = declaration;
	const {name: own, vlans, wire = false} = declaration;
	const tableOf = (vlan: number | undefined): SwitchTable => switchTable(state?.stations.filter((station) => station.vlan === vlan), performance.now());
	/** Without VLANs. */
	const whole = {network: own, table: wire ? wireTable() : tableOf(undefined), traffic: trafficCounter(own, declaration.families ?? families, state?.traffic)};
	/** By their numbers: a station may be known in several, at other ports. */
	const lans = new Map((vlans ?? []).map(({id, network, families: carried}) => [
		id, {network, table: tableOf(id), traffic: trafficCounter(network, carried ?? families, state?.vlanTraffic?.find((known) => known.network === network))},
	]));
	const segments = [whole, ...lans.values()];
	/** The network that the link of each port is named after, and what counts its frames. */
	const linkNetworks = declaration.ports.map(({network = own}) => network);
	const linkTraffic = linkNetworks.map((name) => segments.find(({network}) => network === name)!.traffic);
	/** One for each port, where there are VLANs. */
	const vlanPorts = vlans && linkNetworks.map((network) => {
		const access = vlans.find((vlan) => vlan.network === network);
		return access === undefined ? trunkPort(new Set(lans.keys())) : accessPort(access.id);
	});
	/** While the network is held: what came in meanwhile, in its order. */
	let held: Array<{port: number; buffer: Buffer; start: number; end: number}> | undefined = state?.frames.map(({port, frame}) => {
		const buffer = Buffer.from(frame, 'base64');
		return {port, buffer, start: 0, end: buffer.length};
	});
	let heldBytes = 0;
	const ports: Port[] = [];
	/** One for each port. */
	const links: Link[] = [];
	const touched = new Set<Port>();
	/** Milliseconds that the network was held, or since when it is: its clock stands still meanwhile, so that frames that wait have as long to wait afterwards. */
	let stoodStill = 0;
	let standsSince: number | undefined = held === undefined ? undefined : performance.now();
	const now = (): number => (standsSince ?? performance.now()) - stoodStill;
	/** When the first frame that waits on a link is to be let go. */
	let alarm: {readonly due: number; cancel(): void} | undefined;

	const wake = (due: number): void => {
		if (standsSince === undefined && (alarm === undefined || due < alarm.due)) {
			alarm?.cancel();
			alarm = {due, cancel: callIn(due - now(), letGo)};
		}
	};

	const sleep = (): void => {
		alarm?.cancel();
		alarm = undefined;
	};

	/** Lets go all frames that have waited long enough, and waits for the next. */
	const letGo = (): void => {
		sleep();
		time = performance.now();
		for (const link of links) {
			link.release();
		}

		flush();
		const next = Math.min(...links.map(({due}) => due ?? Infinity));
		if (next !== Infinity) {
			wake(next);
		}
	};

	const close = async (): Promise<void> => {
		sleep();
		await Promise.all(ports.map(async (port) => port.close()));
	};

	/** By `performance.now()`: when what crosses links now was taken. Frames that came in one chunk were taken at one time: to ask for it costs as much as to switch a frame. */
	let time = performance.now();
	let isTimed = false;
	/** Tells of a frame on a link, and of why it went no further there. */
	const recordOn = (index: number): LinkEnds['record'] => (witness === undefined ? undefined : (direction, buffer, start, end, reason) => {
		witness.record(index, direction, time, buffer, start + headerBytes, end, reason && dropReasons[reason]);
	});

	const drop = (index: number, buffer: Buffer, start: number, end: number, reason: DropReason): void => {
		countDroppedIn(ports[index]!.counters, reason);
		witness?.record(index, 'from', time, buffer, start + headerBytes, end, dropReasons[reason]);
	};

	/** Keeps a frame from a machine while the network is held. */
	const keep = (frames: NonNullable<typeof held>, index: number, buffer: Buffer, start: number, end: number): void => {
		if (heldBytes + end - start <= longestQueue * ports.length) {
			heldBytes += end - start;
			const kept = keepable(buffer, start, end);
			frames.push({port: index, buffer: kept, start: 0, end: kept.length});
		} else {
			drop(index, buffer, start, end, 'held');
		}
	};

	/** Counts a frame from a machine: as one of the link's network, and where that is a trunk as one of its VLAN too. */
	const count = (index: number, buffer: Buffer, start: number, end: number, machine: string): void => {
		linkTraffic[index]!.count(buffer, start, end, machine);
		if (vlanPorts !== undefined && linkNetworks[index] === own) {
			const found = vlanPorts[index]!.classify(buffer, start, end);
			if ('vlan' in found) {
				lans.get(found.vlan)!.traffic.count(buffer, start, end, machine);
			}
		}
	};

	/** Decides by a table where a frame goes; where that is nowhere it is told of. */
	const decide = (table: SwitchTable, index: number, buffer: Buffer, start: number, end: number): Way | undefined => {
		const verdict = table.decide(buffer, start + headerBytes, end, index, time);
		if (typeof verdict === 'number' || verdict === 'flood') {
			return verdict;
		}

		drop(index, buffer, start, end, verdict);
		return undefined;
	};

	/** Hands a frame over at once, and tells of it on both links. */
	const pass = (from: number, to: number, buffer: Buffer, start: number, end: number): void => {
		const reason = links[to]!.hand(buffer, start, end);
		if (reason === undefined) {
			witness?.recordPassage(from, to, time, buffer, start + headerBytes, end);
		} else {
			witness?.record(from, 'from', time, buffer, start + headerBytes, end);
			witness?.record(to, 'to', time, buffer, start + headerBytes, end, dropReasons[reason]);
		}
	};

	const switchFrame = (index: number, buffer: Buffer, start: number, end: number): void => {
		if (vlanPorts !== undefined) {
			switchTagged(vlanPorts, index, buffer, start, end);
			return;
		}

		const way = decide(whole.table, index, buffer, start, end);
		if (way === undefined) {
			return;
		}

		if (way !== 'flood' && links[way]!.isPlainToMachine) {
			pass(index, way, buffer, start, end);
			return;
		}

		witness?.record(index, 'from', time, buffer, start + headerBytes, end);
		if (way !== 'flood') {
			links[way]!.toMachine(buffer, start, end);
			return;
		}

		for (const [other, link] of links.entries()) {
			if (other !== index) {
				link.toMachine(buffer, start, end);
			}
		}
	};

	/** Switches a frame within its VLAN: each port gets it with a tag or without, as it wants it. */
	const switchTagged = (places: readonly VlanPort[], index: number, buffer: Buffer, start: number, end: number): void => {
		const found = places[index]!.classify(buffer, start + headerBytes, end);
		if ('reason' in found) {
			drop(index, buffer, start, end, found.reason);
			return;
		}

		const way = decide(lans.get(found.vlan)!.table, index, buffer, start, end);
		if (way === undefined) {
			return;
		}

		// Its form may be another on the other link: it is told of on each.
		witness?.record(index, 'from', time, buffer, start + headerBytes, end);
		const formOf = outgoingForms(buffer, start, end, found.vlan);
		const send = (other: number): void => {
			const frame = formOf(places[other]!.tagged);
			links[other]!.toMachine(frame.buffer, frame.start, frame.end);
		};

		if (way !== 'flood') {
			send(way);
			return;
		}

		for (const [other, place] of places.entries()) {
			if (other !== index && place.carries(found.vlan)) {
				send(other);
			}
		}
	};

	/** Hands all that was delivered to the kernel. Gives whether some of it waits here, in the buffer that it was delivered in. */
	const flush = (): boolean => {
		let waits = false;
		for (const port of touched) {
			waits = port.flush() || waits;
		}

		touched.clear();
		return waits;
	};

	try {
		for (const [index, {name, socket}] of declaration.ports.entries()) {
			const port = await openPort({
				socket: path.resolve(folder, socket),
				onFrame: (buffer, start, end) => {
					if (!isTimed) {
						time = performance.now();
						isTimed = true;
					}

					count(index, buffer, start + headerBytes, end, name);
					if (held === undefined) {
						links[index]!.fromMachine(buffer, start, end);
					} else {
						keep(held, index, buffer, start, end);
					}
				},
				onBatch: () => {
					isTimed = false;
					// What is held, and what waits for a machine, are pieces of what was read; what waits on a link is not.
					return flush() || held !== undefined;
				},
				onGone: () => {
					for (const {table} of segments) {
						table.forget(index);
					}
				},
			});
			ports.push(port);
			links.push(openLink({
				machine: name, network: linkNetworks[index]!, port, now, wake, record: recordOn(index),
				enter: (buffer, start, end) => {
					switchFrame(index, buffer, start, end);
				},
				onDelivered: () => {
					touched.add(port);
				},
			}, state?.links?.find(({machine, network = own}) => machine === name && network === linkNetworks[index])));
		}
	} catch (error) {
		await close();
		throw error;
	}

	return {
		name: own,
		hold() {
			held ??= [];
			standsSince ??= performance.now();
			sleep();
		},
		get flushed() {
			return ports.every((port) => port.flushed);
		},
		get taken() {
			return ports.reduce((sum, {counters}) => sum + counters.framesIn, 0);
		},
		state() {
			const now = performance.now();
			const impaired = links.flatMap((link, index) => {
				const [network, set] = [linkNetworks[index]!, link.state()];
				return set === undefined ? [] : [{...set, ...(network !== own && {network})}];
			});
			const [ownTraffic, ...vlanTraffic] = segments.map(({traffic}) => traffic.report());
			return {
				name: own,
				stations: [...whole.table.stations(now), ...[...lans].flatMap(([vlan, {table}]) => table.stations(now).map((station) => ({...station, vlan})))],
				frames: (held ?? []).map(({port, buffer, start, end}) => ({port, frame: buffer.toString('base64', start, end)})),
				traffic: ownTraffic!,
				...(vlanTraffic.length > 0 && {vlanTraffic}),
				...(impaired.length > 0 && {links: impaired}),
			};
		},
		release() {
			const kept = held ?? [];
			held = undefined;
			heldBytes = 0;
			stoodStill += standsSince === undefined ? 0 : performance.now() - standsSince;
			standsSince = undefined;
			time = performance.now();
			for (const {port, buffer, start, end} of kept) {
				links[port]?.fromMachine(buffer, start, end);
			}

			letGo();
		},
		links: () => links.map((link) => link.report()),
		changeLink(change) {
			const link = links.find((_, index) => linkName(declaration.ports[index]!.name, linkNetworks[index]!) === change.link);
			const before = link?.setting;
			if (link !== undefined && before !== undefined) {
				link.put(changedSetting(before, change));
			}

			return before;
		},
		traffic: () => segments.map(({traffic}) => traffic.report()),
		report: () => ports.map((port, index) => ({network: linkNetworks[index]!, port: declaration.ports[index]?.name ?? '', ...port.counters})),
		close,
	};
}
