/**
 * A client for the QEMU Machine Protocol: JSON messages, one a line, over a unix socket. Source: "QMP protocol
 * specification", docs/interop/qmp-spec in QEMU.
 */
import {createConnection} from 'node:net';
import {once} from 'node:events';
import type {Duplex} from 'node:stream';
import {failure} from '../host/failure.ts';
import {socketPath} from '../host/socket-path.ts';

/** Something that QEMU tells on its own: `{event: 'SHUTDOWN', data: {...}}`. */
export interface QmpEvent {
	readonly event: string;
	readonly data: Readonly<Record<string, unknown>>;
	/** Milliseconds since 1970, by QEMU's clock. */
	readonly at: number;
}

/** How a command of the monitor is waited for. */
export interface ExecuteOptions {
	/** Milliseconds until the answer must be there. Default 30 000. */
	readonly timeout?: number;
}

/** An open connection, capabilities negotiated. */
export interface Qmp {
	/** QEMU's version: '7.2.22'. */
	readonly version: string;
	/**
	 * Runs a command and gives what it returns.
	 *
	 * @throws `monitor-refused` when QEMU answers with an error, `monitor-lost` when the connection ends or no answer comes in time
	 */
	execute(command: string, args?: Readonly<Record<string, unknown>>, options?: ExecuteOptions): Promise<unknown>;
	/** Calls the listener for each event; returns the function that ends it. */
	onEvent(listener: (event: QmpEvent) => void): () => void;
	/** Resolves when the connection has ended, by either side. */
	readonly closed: Promise<void>;
	close(): void;
}

/** A message longer than this (in characters) is no QMP: the longest real ones are some hundred kilobytes. */
const longestMessage = 16 * 1024 * 1024;

interface Pending {
	readonly command: string;
	resolve(value: unknown): void;
	reject(error: Error): void;
}

/** Connects to QEMU's monitor socket. `machine` is the name for messages. Throws the system's error when nobody listens. */
export async function connectQmp(socket: string, machine: string, options: {timeout?: number} = {}): Promise<Qmp> {
	const short = await socketPath(socket);
	try {
		const connection = createConnection(short.path);
		await once(connection, 'connect');
		return await openQmp(connection, machine, options);
	} finally {
		await short.release();
	}
}

/**
 * Speaks QMP on a stream: awaits the greeting and negotiates capabilities.
 *
 * @param options timeout: milliseconds for greeting and negotiation together, default 30 000
 * @throws `monitor-lost` when the stream ends, is no QMP, or is silent
 */
export async function openQmp(stream: Duplex, machine: string, options: {timeout?: number} = {}): Promise<Qmp> {
	const {timeout = 30_000} = options;
	const pending = new Map<string, Pending>();
	const listeners = new Set<(event: QmpEvent) => void>();
	let lost: Error | undefined;
	let count = 0;
	let greeted: Pending | undefined;
	let endClosed: () => void = () => {};
	const closed = new Promise<void>((resolve) => {
		endClosed = resolve;
	});

	const lose = (reason: string): void => {
		if (lost !== undefined) {
			return;
		}

		lost = failure.monitorLost(machine, reason);
		greeted?.reject(lost);
		for (const waiting of pending.values()) {
			waiting.reject(failure.monitorLost(machine, `${reason}, before it answered \`${waiting.command}\``));
		}

		pending.clear();
		stream.destroy();
		endClosed();
	};

	const take = (message: Record<string, unknown>): void => {
		if ('QMP' in message) {
			greeted?.resolve(message);
			greeted = undefined;
			return;
		}

		if (typeof message['event'] === 'string') {
			const time = fields(message['timestamp']);
			const event: QmpEvent = {
				event: message['event'],
				data: fields(message['data']),
				at: Number(time['seconds'] ?? 0) * 1000 + Number(time['microseconds'] ?? 0) / 1000,
			};
			for (const listener of listeners) {
				listener(event);
			}

			return;
		}

		// Without an id it answers something that could not be parsed: not ours, since what we send is JSON.
		const id = typeof message['id'] === 'string' ? message['id'] : '';
		const waiting = pending.get(id);
		if (waiting === undefined) {
			return;
		}

		pending.delete(id);
		if ('error' in message) {
			const error = fields(message['error']);
			waiting.reject(failure.monitorRefused(machine, waiting.command, String(error['desc'] ?? 'no description'), String(error['class'] ?? 'GenericError')));
		} else {
			waiting.resolve(message['return']);
		}
	};

	let rest: string[] = [];
	let restLength = 0;
	stream.setEncoding('utf8');
	stream.on('data', (chunk: string) => {
		const lines = chunk.split('\n');
		const tail = lines.pop() ?? '';
		for (const [index, part] of lines.entries()) {
			const line = (index === 0 ? rest.join('') + part : part).trim();
			if (index === 0) {
				rest = [];
				restLength = 0;
			}

			if (line === '') {
				continue;
			}

			const message = parse(line);
			if (message === undefined) {
				lose(`it sent what is no QMP: ${JSON.stringify(line.slice(0, 80))}`);
				return;
			}

			take(message);
		}

		rest.push(tail);
		restLength += tail.length;
		if (restLength > longestMessage) {
			lose('it sent a message without an end');
		}
	});
	stream.on('error', (error) => {
		lose(error.message);
	});
	stream.on('close', () => {
		lose('the connection ended');
	});
	stream.on('end', () => {
		lose('the connection ended');
	});

	const timed = async <Value>(what: string, milliseconds: number, start: (pending: Pending) => void): Promise<Value> =>
		new Promise<Value>((resolve, reject) => {
			const alarm = setTimeout(() => {
				reject(failure.monitorLost(machine, `no answer to \`${what}\` within ${Math.round(milliseconds / 1000)} s`));
			}, milliseconds);
			start({
				command: what,
				resolve(value) {
					clearTimeout(alarm);
					resolve(value as Value);
				},
				reject(error) {
					clearTimeout(alarm);
					reject(error);
				},
			});
			if (lost !== undefined) {
				clearTimeout(alarm);
				reject(lost);
			}
		});

	const execute: Qmp['execute'] = async (command, args, {timeout: allowed = 30_000} = {}) => {
		const id = `vmlab-${count++}`;
		try {
			return await timed(command, allowed, (waiting) => {
				pending.set(id, waiting);
				stream.write(`${JSON.stringify({execute: command, ...(args && {arguments: args}), id})}\n`);
			});
		} finally {
			pending.delete(id);
		}
	};

	try {
		const greeting = await timed<Record<string, unknown>>('greeting', timeout, (waiting) => {
			greeted = waiting;
		});
		await execute('qmp_capabilities', undefined, {timeout});
		const version = fields(fields(fields(greeting['QMP'])['version'])['qemu']);
		return {
			version: `${Number(version['major'])}.${Number(version['minor'])}.${Number(version['micro'])}`,
			execute,
			onEvent(listener) {
				listeners.add(listener);
				return () => {
					listeners.delete(listener);
				};
			},
			closed,
			close() {
				lose('it was closed');
			},
		};
	} catch (error) {
		lose('it was given up');
		throw error;
	}
}

function fields(value: unknown): Record<string, unknown> {
	return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function parse(line: string): Record<string, unknown> | undefined {
	try {
		const value: unknown = JSON.parse(line);
		return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
	} catch {
		return undefined;
	}
}
