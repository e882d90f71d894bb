/** The fabric of a lab: its networks, each a user-space switch, in a thread of their own. */
import {Worker} from 'node:worker_threads';
import type {LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import type {NetworkDeclaration, PortReport} from './network.ts';

/** What a fabric is started from. */
export interface FabricDeclaration {
	/** Where the sockets of the ports are made; it must be there, and private (0700). */
	readonly folder: string;
	readonly networks: readonly NetworkDeclaration[];
}

/** What the thread is asked. */
export type FabricRequest = {ask: 'report'; id: number} | {ask: 'stop'};
/** What it tells. */
export type FabricAnswer = {tell: 'ready'} | {tell: 'failed'; reason: string} | {tell: 'report'; id: number; ports: PortReport[]} | {tell: 'stopped'};

/** A running fabric. */
export interface Fabric {
	/** The counters of all ports, by now. Throws `fabric-failed` when the fabric has ended. */
	report(): Promise<PortReport[]>;
	/** Resolves when the fabric has ended: with the error when it failed, with undefined after `stop`. Never rejects. */
	readonly ended: Promise<LabError | undefined>;
	/** Ends all connections and removes the sockets. May be called again. */
	stop(): Promise<void>;
}

/**
 * Starts the fabric; the sockets listen when it returns.
 *
 * @throws `fabric-failed` when a socket cannot be made
 */
export async function startFabric(declaration: FabricDeclaration): Promise<Fabric> {
	const worker = startWorker(declaration);
	const reports = new Map<number, {resolve: (ports: PortReport[]) => void; reject: (error: LabError) => void}>();
	let count = 0;
	let problem: LabError | undefined;
	let stopping = false;
	let isOver = false;

	const ready = new Promise<void>((resolve, reject) => {
		worker.on('message', (message: FabricAnswer) => {
			if (message.tell === 'ready') {
				resolve();
			} else if (message.tell === 'failed') {
				problem = failure.fabricFailed(message.reason);
			} else if (message.tell === 'report') {
				reports.get(message.id)?.resolve(message.ports);
				reports.delete(message.id);
			}
		});
		worker.on('error', (error) => {
			problem = failure.fabricFailed(error.message, error);
		});
		worker.on('exit', () => {
			reject(problem ?? failure.fabricFailed('its thread ended'));
		});
	});
	const ended = new Promise<LabError | undefined>((resolve) => {
		worker.on('exit', () => {
			isOver = true;
			const error = stopping ? undefined : problem ?? failure.fabricFailed('its thread ended');
			for (const {reject} of reports.values()) {
				reject(error ?? failure.fabricFailed('it was stopped'));
			}

			reports.clear();
			resolve(error);
		});
	});
	await ready;
	return {
		async report() {
			if (isOver) {
				throw problem ?? failure.fabricFailed('it was stopped');
			}

			const id = count++;
			return new Promise((resolve, reject) => {
				reports.set(id, {resolve, reject});
				worker.postMessage({ask: 'report', id} satisfies FabricRequest);
			});
		},
		ended,
		async stop() {
			if (!isOver && !stopping) {
				stopping = true;
				worker.postMessage({ask: 'stop'} satisfies FabricRequest);
			}

			await ended;
		},
	};
}

/** The worker is beside this file: compiled like it, or run from its source like it. */
function startWorker(declaration: FabricDeclaration): Worker {
	if (!import.meta.url.endsWith('.ts')) {
		return new Worker(new URL('worker.js', import.meta.url), {workerData: declaration});
	}

	// What loads TypeScript in this thread does not come along into a new one.
	const [loader, source] = [import.meta.resolve('tsx/esm/api'), new URL('worker.ts', import.meta.url).href].map((url) => JSON.stringify(url));
	return new Worker(`import(${loader}).then(({register}) => { register(); return import(${source}); })`, {eval: true, workerData: declaration});
}
