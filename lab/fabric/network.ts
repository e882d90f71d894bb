/** One layer-2 segment: a switch and its ports. */
import path from 'node:path';
import {headerBytes} from './framing.ts';
import {longestQueue, openPort, type Port, type PortCounters} from './port.ts';
import {families, type Family} from '../spec/family.ts';
import type {RecordFrame} from './recorder.ts';
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

/**
 * Opens all ports of the network.
 *
 * @param record told of each frame on each link, and of those that were dropped; links are the numbers of ports
 * @throws the system's error when a socket cannot be made; none is left open then
 */
export async function openNetwork(declaration: NetworkDeclaration, folder: string, record?: RecordFrame): Promise<Network> {
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
	const touched = new Set<Port>();

	const close = async (): Promise<void> => {
		await Promise.all(ports.map(async (port) => port.close()));
	};

	const deliver = (index: number, now: number, buffer: Buffer, start: number, end: number): void => {
		const port = ports[index];
		if (port !== undefined) {
			const reason = port.deliver(buffer, start, end);
			touched.add(port);
			record?.(index, 'out', now, buffer, start + headerBytes, end, reason);
		}
	};

	const drop = (index: number, now: number, buffer: Buffer, start: number, end: number, reason: string): void => {
		const port = ports[index];
		if (port !== undefined) {
			port.counters.droppedIn += 1;
			record?.(index, 'in', now, buffer, start + headerBytes, end, reason);
		}
	};

	const switchFrame = (index: number, buffer: Buffer, start: number, end: number): void => {
		const now = performance.now();
		if (held !== undefined) {
			if (heldBytes + end - start <= longestQueue * ports.length) {
				heldBytes += end - start;
				held.push({port: index, buffer, start, end});
			} else {
				drop(index, now, buffer, start, end, 'the network stands still, and has kept all that it can');
			}

			return;
		}

		const verdict = table.decide(buffer, start + headerBytes, end, index, now);
		if (verdict === 'drop') {
			drop(index, now, buffer, start, end, reasonToDrop(end - start - headerBytes));
			return;
		}

		record?.(index, 'in', now, buffer, start + headerBytes, end);
		if (verdict !== 'flood') {
			deliver(verdict, now, buffer, start, end);
			return;
		}

		for (let other = 0; other < ports.length; other++) {
			if (other !== index) {
				deliver(other, now, buffer, start, end);
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
			ports.push(await openPort({
				socket: path.resolve(folder, socket),
				onFrame: (buffer, start, end) => {
					traffic.count(buffer, start + headerBytes, end, name);
					switchFrame(index, buffer, start, end);
				},
				onBatch: flush,
				onGone: () => {
					table.forget(index);
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
				switchFrame(port, buffer, start, end);
			}

			flush();
		},
		traffic: () => traffic.report(),
		report: () => ports.map((port, index) => ({network: declaration.name, port: declaration.ports[index]?.name ?? '', ...port.counters})),
		close,
	};
}

/** Why the switch drops a frame of so many bytes that it drops. */
function reasonToDrop(length: number): string {
	if (length < shortestFrame) {
		return 'too short';
	}

	return length > longestSwitchedFrame ? 'too long' : 'its station is on the link that it came from';
}
