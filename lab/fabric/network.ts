/** One layer-2 segment: a switch and its ports. */
import path from 'node:path';
import {countDroppedIn, type DropReason, dropReasons, type PortCounters} from './counters.ts';
import {headerBytes} from './framing.ts';
import {type Link, type LinkEnds, type LinkReport, type LinkState, openLink} from './link.ts';
import {changedSetting, type LinkChange, type LinkSetting} from './link-setting.ts';
import {longestQueue, openPort, type Port} from './port.ts';
import {families, type Family} from '../spec/family.ts';
import type {FrameWitness} from './recorder.ts';
import {type KnownStation, longestSwitchedFrame, shortestFrame, switchTable} from './switch.ts';
import {type NetworkTraffic, trafficCounter} from './traffic.ts';

/** A network of the lab, and where its machines connect. */
export interface NetworkDeclaration {
	readonly name: string;
	/** What it is for; default both. Frames of other families are carried too, and told of. */
	readonly families?: readonly Family[];
	/** `name` is the machine's; `socket` a file, relative to the fabric's folder. */
	readonly ports: ReadonlyArray<{readonly name: string; readonly socket: string}>;
	/** Where it goes on from: then it is held, and carries nothing until it is released. */
	readonly state?: NetworkState;
}

/** All that a network is at one moment, as JSON has it: what another one goes on from. */
export interface NetworkState {
	readonly name: string;
	readonly stations: readonly KnownStation[];
	/** Frames on their way, with the port that they came from (a number, from 0), in base64 with QEMU's header before each. */
	readonly frames: ReadonlyArray<{readonly port: number; readonly frame: string}>;
	readonly traffic?: NetworkTraffic;
	/** Links on which something is set, or frames wait. */
	readonly links?: readonly LinkState[];
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
	/** Changes what is set on the link of a machine, and gives what was set before. */
	changeLink(machine: string, change: LinkChange): LinkSetting;
	/** What machines have sent. */
	traffic(): NetworkTraffic;
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
 * Opens all ports of the network.
 *
 * @param witness told of each frame on each link, and of those that were dropped; links are the numbers of ports
 * @throws the system's error when a socket cannot be made; none is left open then
 */
export async function openNetwork(declaration: NetworkDeclaration, folder: string, witness?: FrameWitness): Promise<Network> {
	const {state} = declaration;
	const table = switchTable(state?.stations, performance.now());
	const traffic = trafficCounter(declaration.name, declaration.families ?? families, state?.traffic);
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
	let alarm: {readonly due: number; readonly timer: NodeJS.Timeout} | undefined;

	const wake = (due: number): void => {
		if (standsSince === undefined && (alarm === undefined || due < alarm.due)) {
			clearTimeout(alarm?.timer);
			alarm = {due, timer: setTimeout(letGo, Math.ceil(due - now()))};
		}
	};

	const sleep = (): void => {
		clearTimeout(alarm?.timer);
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
			frames.push({port: index, buffer, start, end});
		} else {
			drop(index, buffer, start, end, 'held');
		}
	};

	const switchFrame = (index: number, buffer: Buffer, start: number, end: number): void => {
		const verdict = table.decide(buffer, start + headerBytes, end, index, time);
		if (verdict === 'drop') {
			const length = end - start - headerBytes;
			drop(index, buffer, start, end, length < shortestFrame ? 'runt' : length > longestSwitchedFrame ? 'giant' : 'same-port');
			return;
		}

		if (verdict !== 'flood' && links[verdict]!.isPlainToMachine) {
			const reason = links[verdict]!.hand(buffer, start, end);
			if (reason === undefined) {
				witness?.recordPassage(index, verdict, time, buffer, start + headerBytes, end);
			} else {
				witness?.record(index, 'from', time, buffer, start + headerBytes, end);
				witness?.record(verdict, 'to', time, buffer, start + headerBytes, end, dropReasons[reason]);
			}

			return;
		}

		witness?.record(index, 'from', time, buffer, start + headerBytes, end);
		if (verdict !== 'flood') {
			links[verdict]!.toMachine(buffer, start, end);
			return;
		}

		for (const [other, link] of links.entries()) {
			if (other !== index) {
				link.toMachine(buffer, start, end);
			}
		}
	};

	const flush = (): void => {
		for (const port of touched) {
			port.flush();
		}

		touched.clear();
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

					traffic.count(buffer, start + headerBytes, end, name);
					if (held === undefined) {
						links[index]!.fromMachine(buffer, start, end);
					} else {
						keep(held, index, buffer, start, end);
					}
				},
				onBatch: () => {
					isTimed = false;
					flush();
				},
				onGone: () => {
					table.forget(index);
				},
			});
			ports.push(port);
			links.push(openLink({
				machine: name, network: declaration.name, port, now, wake, record: recordOn(index),
				enter: (buffer, start, end) => {
					switchFrame(index, buffer, start, end);
				},
				onDelivered: () => {
					touched.add(port);
				},
			}, state?.links?.find(({machine}) => machine === name)));
		}
	} catch (error) {
		await close();
		throw error;
	}

	return {
		name: declaration.name,
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
			const impaired = links.flatMap((link) => link.state() ?? []);
			return {
				name: declaration.name,
				stations: table.stations(performance.now()),
				frames: (held ?? []).map(({port, buffer, start, end}) => ({port, frame: buffer.toString('base64', start, end)})),
				traffic: traffic.report(),
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
		changeLink(machine, change) {
			const link = links[declaration.ports.findIndex(({name}) => name === machine)]!;
			const before = link.setting;
			link.put(changedSetting(before, change));
			return before;
		},
		traffic: () => traffic.report(),
		report: () => ports.map((port, index) => ({network: declaration.name, port: declaration.ports[index]?.name ?? '', ...port.counters})),
		close,
	};
}
