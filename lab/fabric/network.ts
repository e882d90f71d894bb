/** One layer-2 segment: a switch and its ports. */
import path from 'node:path';
import {countDroppedIn, type PortCounters} from './counters.ts';
import {headerBytes} from './framing.ts';
import {type Link, openLink} from './link.ts';
import {longestQueue, openPort, type Port} from './port.ts';
import {families, type Family} from '../spec/family.ts';
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
}

/** The counters of one port. */
export interface PortReport extends PortCounters {
	readonly network: string;
	readonly port: string;
}

/** An open network. */
export interface Network {
	report(): PortReport[];
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

/** Opens all ports of the network. Throws the system's error when a socket cannot be made; none is left open then. */
export async function openNetwork(declaration: NetworkDeclaration, folder: string): Promise<Network> {
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

	const close = async (): Promise<void> => {
		await Promise.all(ports.map(async (port) => port.close()));
	};

	/** Keeps a frame from a machine while the network is held. */
	const keep = (frames: NonNullable<typeof held>, index: number, buffer: Buffer, start: number, end: number): void => {
		if (heldBytes + end - start <= longestQueue * ports.length) {
			heldBytes += end - start;
			frames.push({port: index, buffer, start, end});
		} else {
			countDroppedIn(ports[index]!.counters, 'held');
		}
	};

	const switchFrame = (index: number, buffer: Buffer, start: number, end: number): void => {
		const verdict = table.decide(buffer, start + headerBytes, end, index, performance.now());
		if (verdict === 'flood') {
			for (const [other, link] of links.entries()) {
				if (other !== index) {
					link.toMachine(buffer, start, end);
				}
			}
		} else if (verdict === 'drop') {
			const length = end - start - headerBytes;
			countDroppedIn(ports[index]!.counters, length < shortestFrame ? 'runt' : length > longestSwitchedFrame ? 'giant' : 'same-port');
		} else {
			links[verdict]?.toMachine(buffer, start, end);
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
					traffic.count(buffer, start + headerBytes, end, name);
					if (held === undefined) {
						links[index]!.fromMachine(buffer, start, end);
					} else {
						keep(held, index, buffer, start, end);
					}
				},
				onBatch: flush,
				onGone: () => {
					table.forget(index);
				},
			});
			ports.push(port);
			links.push(openLink({
				port,
				enter: (buffer, start, end) => {
					switchFrame(index, buffer, start, end);
				},
				onDelivered: () => {
					touched.add(port);
				},
			}));
		}
	} catch (error) {
		await close();
		throw error;
	}

	return {
		hold() {
			held ??= [];
		},
		get flushed() {
			return ports.every((port) => port.flushed);
		},
		get taken() {
			return ports.reduce((sum, {counters}) => sum + counters.framesIn, 0);
		},
		state: () => ({
			name: declaration.name,
			stations: table.stations(performance.now()),
			frames: (held ?? []).map(({port, buffer, start, end}) => ({port, frame: buffer.toString('base64', start, end)})),
			traffic: traffic.report(),
		}),
		release() {
			const kept = held ?? [];
			held = undefined;
			heldBytes = 0;
			for (const {port, buffer, start, end} of kept) {
				links[port]?.fromMachine(buffer, start, end);
			}

			flush();
		},
		traffic: () => traffic.report(),
		report: () => ports.map((port, index) => ({network: declaration.name, port: declaration.ports[index]?.name ?? '', ...port.counters})),
		close,
	};
}
