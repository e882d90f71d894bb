/** The fabric of a lab: its networks, each a user-space switch, in a thread of their own. */
import path from 'node:path';
import {Worker} from 'node:worker_threads';
import type {LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {capturedLinks, type CaptureRequest, linkNames} from './capture-request.ts';
import type {LinkReport} from './link.ts';
import type {LinkChange, LinkSetting} from './link-setting.ts';
import type {NetworkDeclaration, NetworkState, PortReport} from './network.ts';
import type {NetworkTraffic} from './traffic.ts';

export type {NetworkDeclaration, NetworkState} from './network.ts';

/** What a fabric is started from. */
export interface FabricDeclaration {
	/** Where the sockets of the ports are made; it must be there, and private (0700). */
	readonly folder: string;
	readonly networks: readonly NetworkDeclaration[];
}

/** What the thread can be asked, and what it answers. */
export interface FabricQuestions {
	report: PortReport[];
	traffic: NetworkTraffic[];
	links: LinkReport[];
	changeLink: LinkSetting;
	hold: undefined;
	state: NetworkState[];
	release: undefined;
	/** The name of the capture's socket. */
	capture: string;
}

/** What comes along with a question. */
export interface FabricArguments {
	changeLink: LinkChange;
	capture: CaptureRequest;
}

/** What comes along with this question. */
export type FabricArgument<Question extends keyof FabricQuestions> = Question extends keyof FabricArguments ? FabricArguments[Question] : undefined;

/** What the thread is asked. */
export type FabricRequest = {ask: keyof FabricQuestions; id: number; argument: FabricArgument<keyof FabricQuestions>} | {ask: 'stop'};
/** What it tells. */
export type FabricAnswer =
	| {tell: 'ready'}
	| {tell: 'failed'; reason: string}
	| {tell: 'answer'; id: number; value: FabricQuestions[keyof FabricQuestions]}
	/** It could not do what it was asked, and goes on. */
	| {tell: 'refused'; id: number; reason: string}
	| {tell: 'stopped'};

/** A running fabric. */
export interface Fabric {
	/** The counters of all ports, by now. Throws `fabric-failed` when the fabric has ended. */
	report(): Promise<PortReport[]>;
	/** What each network has carried, by now. Throws like `report`. */
	traffic(): Promise<NetworkTraffic[]>;
	/** All links, by now. Throws like `report`. */
	links(): Promise<LinkReport[]>;
	/** Changes what is set on a link, from the next frame on, and gives what was set before. Throws `unknown-link`, naming the known, and like `report`. */
	changeLink(change: LinkChange): Promise<LinkSetting>;
	/**
	 * Stops all networks: frames from machines are taken and kept, none is given to one. Resolves when the kernel has all that was given
	 * before. A fabric that was started from a state is held.
	 */
	hold(): Promise<void>;
	/** Takes in what is still in the sockets of machines that stand still, and gives the state of all networks. */
	state(): Promise<NetworkState[]>;
	/** Carries what was kept, and goes on. */
	release(): Promise<void>;
	/**
	 * Makes a capture of links (their names are `machine@network`): see `connectCapture`. It begins with its reader, who must come within ten seconds.
	 *
	 * @returns the path of its socket
	 * @throws what `capturedLinks` throws; `fabric-failed`
	 */
	capture(request: CaptureRequest): Promise<string>;
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
	const questions = new Map<number, {resolve: (value: any) => void; reject: (error: LabError) => void}>();
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
			} else if (message.tell === 'answer') {
				questions.get(message.id)?.resolve(message.value);
				questions.delete(message.id);
			} else if (message.tell === 'refused') {
				questions.get(message.id)?.reject(failure.fabricFailed(message.reason));
				questions.delete(message.id);
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
			for (const {reject} of questions.values()) {
				reject(error ?? failure.fabricFailed('it was stopped'));
			}

			questions.clear();
			resolve(error);
		});
	});
	const ask = async <Question extends keyof FabricQuestions>(question: Question, argument: FabricArgument<Question>): Promise<FabricQuestions[Question]> => {
		if (isOver) {
			throw problem ?? failure.fabricFailed('it was stopped');
		}

		const id = count++;
		return new Promise((resolve, reject) => {
			questions.set(id, {resolve, reject});
			worker.postMessage({ask: question, id, argument} satisfies FabricRequest);
		});
	};

	const names = linkNames(declaration.networks);

	await ready;
	return {
		report: async () => ask('report', undefined),
		traffic: async () => ask('traffic', undefined),
		links: async () => ask('links', undefined),
		async changeLink(change) {
			if (!names.includes(change.link)) {
				throw failure.unknownName('link', change.link, names);
			}

			return ask('changeLink', change);
		},
		hold: async () => ask('hold', undefined),
		state: async () => ask('state', undefined),
		release: async () => ask('release', undefined),
		async capture(request) {
			capturedLinks(request, names);
			return path.join(declaration.folder, await ask('capture', request));
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
		// It needs nothing of what the process was told to load first (`--import`), which may take longer than all else here.
		return new Worker(new URL('worker.js', import.meta.url), {workerData: declaration, execArgv: []});
	}

	// What loads TypeScript in this thread does not come along into a new one.
	const [loader, source] = [import.meta.resolve('tsx/esm/api'), new URL('worker.ts', import.meta.url).href].map((url) => JSON.stringify(url));
	return new Worker(`import(${loader}).then(({register}) => { register(); return import(${source}); })`, {eval: true, workerData: declaration});
}
