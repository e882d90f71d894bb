/** One layer-2 segment: a switch and its ports. */
import path from 'node:path';
import {headerBytes} from './framing.ts';
import {openPort, type Port, type PortCounters} from './port.ts';
import {switchTable} from './switch.ts';

/** A network of the lab, and where its machines connect. */
export interface NetworkDeclaration {
	readonly name: string;
	/** `name` is the machine's; `socket` a file, relative to the fabric's folder. */
	readonly ports: ReadonlyArray<{readonly name: string; readonly socket: string}>;
}

/** The counters of one port. */
export interface PortReport extends PortCounters {
	readonly network: string;
	readonly port: string;
}

/** An open network. */
export interface Network {
	report(): PortReport[];
	close(): Promise<void>;
}

/** Opens all ports of the network. Throws the system's error when a socket cannot be made; none is left open then. */
export async function openNetwork(declaration: NetworkDeclaration, folder: string): Promise<Network> {
	const table = switchTable();
	const ports: Port[] = [];
	const touched = new Set<Port>();

	const close = async (): Promise<void> => {
		await Promise.all(ports.map(async (port) => port.close()));
	};

	const deliver = (port: Port, buffer: Buffer, start: number, end: number): void => {
		port.deliver(buffer, start, end);
		touched.add(port);
	};

	const switchFrame = (index: number, buffer: Buffer, start: number, end: number): void => {
		const verdict = table.decide(buffer, start + headerBytes, end, index, performance.now());
		if (verdict === 'flood') {
			for (const [other, port] of ports.entries()) {
				if (other !== index) {
					deliver(port, buffer, start, end);
				}
			}

			return;
		}

		const port = verdict === 'drop' ? undefined : ports[verdict];
		if (port === undefined) {
			const own = ports[index];
			if (own !== undefined) {
				own.counters.droppedIn += 1;
			}
		} else {
			deliver(port, buffer, start, end);
		}
	};

	const flush = (): void => {
		for (const port of touched) {
			port.flush();
		}

		touched.clear();
	};

	try {
		for (const [index, {socket}] of declaration.ports.entries()) {
			ports.push(await openPort({
				socket: path.resolve(folder, socket),
				onFrame: (buffer, start, end) => {
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
		report: () => ports.map((port, index) => ({network: declaration.name, port: declaration.ports[index]?.name ?? '', ...port.counters})),
		close,
	};
}
