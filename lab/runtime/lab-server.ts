/** The owner's end of a lab's socket. */
import {once} from 'node:events';
import {createServer, type Socket} from 'node:net';
import path from 'node:path';
import type {CaptureRequest} from '../fabric/capture-request.ts';
import type {LinkChange, LinkSetting} from '../fabric/link-setting.ts';
import type {LinkReport} from '../fabric/link.ts';
import type {NetworkTraffic} from '../fabric/traffic.ts';
import {asLabError, type FailureDescription} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {listenPrivately} from '../host/private-socket.ts';
import {until} from '../host/wait.ts';
import type {EventLog} from './event-log.ts';
import type {LabRecord} from './lab-record.ts';
import type {MachineChange, MachineReport} from './machine-change.ts';
import {createLineReader, type LabAnswer, type LabQuestion, socketFile} from './lab-socket.ts';

/** A socket that is served. */
export interface LabServer {
	/** Returns when somebody has come to watch the events, or after so many milliseconds without. */
	awaitWatcher(deadline: number): Promise<void>;
	/** Ends all watching and answers those who asked for the lab's end; returns when they have got it. */
	close(error?: FailureDescription): Promise<void>;
}

/** How long a client may take to read its last lines, in milliseconds. */
const farewell = 2000;

/**
 * Serves a lab's socket.
 *
 * @param options.traffic what the lab's networks have carried
 * @param options.links all links, with what is set on them
 * @param options.changeLink called when a client wants something to be set on a link; gives what was set before
 * @param options.machineReports all machines, with what is wrong with each on purpose
 * @param options.changeMachine called when a client wants that to be changed
 * @param options.machineReady called when a client waits for a machine; the signal aborts when it waits no longer
 * @param options.capture called when a client wants frames; gives the path of the socket that it gets them by
 * @param options.freeze called when a client wants the lab to be kept; gives the bytes that it takes on the disk; the signal aborts when the client wants it no longer
 * @param options.down called when a client asks for the lab's end; the client is answered by `close`
 */
export async function serveLab(folder: string, options: {
	record: () => LabRecord; log: EventLog; traffic: () => Promise<readonly NetworkTraffic[]>; links: () => Promise<readonly LinkReport[]>; changeLink: (change: LinkChange) => Promise<LinkSetting>;
	machineReports: () => Promise<readonly MachineReport[]>; changeMachine: (change: MachineChange) => Promise<void>; machineReady: (machine: string, signal: AbortSignal) => Promise<void>;
	capture: (request: CaptureRequest) => Promise<string>; freeze: (name: string, signal: AbortSignal) => Promise<number>; down: () => void;
}): Promise<LabServer> {
	const {record, log, traffic, links, changeLink, machineReports, changeMachine, machineReady, capture, freeze, down} = options;
	const connections = new Map<Socket, {asked?: LabQuestion['request']; unwatch?: () => void}>();
	let watched = false;
	const say = (socket: Socket, answer: LabAnswer): void => {
		if (socket.writable) {
			socket.write(`${JSON.stringify(answer)}\n`);
		}
	};

	/** Says what comes of it, or why nothing does, and ends the connection. */
	const sayLast = (socket: Socket, answering: Promise<LabAnswer>): void => {
		void answering.catch((error: unknown): LabAnswer => ({answer: 'error', error: asLabError(error).toJSON()})).then((last) => {
			say(socket, last);
			socket.end();
		});
	};

	/** Aborts when whoever asked is gone. */
	const whileAsked = (socket: Socket): AbortSignal => {
		const gone = new AbortController();
		socket.on('close', () => {
			gone.abort(failure.interrupted('whoever asked'));
		});
		return gone.signal;
	};

	const answer = (socket: Socket, line: string): void => {
		const connection = connections.get(socket);
		const question = JSON.parse(line) as LabQuestion;
		const {request} = question;
		if (connection === undefined || connection.asked !== undefined) {
			return;
		}

		connection.asked = request;
		switch (request) {
			case 'status': {
				say(socket, {answer: 'status', record: record()});
				socket.end();
				break;
			}

			case 'events': {
				watched = true;
				connection.unwatch = log.watch((event) => {
					say(socket, {answer: 'event', event});
				});
				break;
			}

			case 'freeze': {
				sayLast(socket, freeze(question.name, whileAsked(socket)).then((bytes) => ({answer: 'frozen', bytes})));
				break;
			}

			case 'traffic': {
				sayLast(socket, traffic().then((networks) => ({answer: 'traffic', networks})));
				break;
			}

			case 'links': {
				sayLast(socket, links().then((reports) => ({answer: 'links', links: reports})));
				break;
			}

			case 'change-link': {
				sayLast(socket, changeLink(question.change).then((before) => ({answer: 'link-changed', before})));
				break;
			}

			case 'machines': {
				sayLast(socket, machineReports().then((reports) => ({answer: 'machines', machines: reports})));
				break;
			}

			case 'change-machine': {
				sayLast(socket, changeMachine(question.change).then(() => ({answer: 'machine-changed'})));
				break;
			}

			case 'machine-ready': {
				sayLast(socket, machineReady(question.machine, whileAsked(socket)).then(() => ({answer: 'machine-ready'})));
				break;
			}

			case 'capture': {
				sayLast(socket, capture(question.capture).then((file) => ({answer: 'capture', socket: path.basename(file)})));
				break;
			}

			case 'down': {
				down();
				break;
			}

			default: {
				say(socket, {answer: 'error', error: failure.usage('The lab does not know what it is asked').toJSON()});
				socket.end();
			}
		}
	};

	const server = createServer((socket) => {
		connections.set(socket, {});
		socket.setEncoding('utf8');
		const read = createLineReader((line) => {
			answer(socket, line);
		});
		socket.on('data', (chunk: string) => {
			try {
				read(chunk);
			} catch (error) {
				say(socket, {answer: 'error', error: asLabError(error).toJSON()});
				socket.destroy();
			}
		});
		socket.on('error', () => {
			socket.destroy();
		});
		socket.on('close', () => {
			connections.get(socket)?.unwatch?.();
			connections.delete(socket);
		});
	});
	const release = await listenPrivately(server, path.join(folder, socketFile));
	return {
		async awaitWatcher(deadline) {
			await until(
				'somebody watches the lab',
				async () => (watched ? {met: true, value: undefined} : {met: false, seen: 'nobody'}),
				{deadline, interval: 50},
			).catch(() => {});
		},
		async close(error) {
			const closed = once(server, 'close');
			server.close();
			for (const [socket, {asked}] of connections) {
				if (asked === 'down') {
					say(socket, error === undefined ? {answer: 'down'} : {answer: 'error', error});
				}

				socket.end();
			}

			const giveUp = setTimeout(() => {
				for (const socket of connections.keys()) {
					socket.destroy();
				}
			}, farewell);
			await closed;
			clearTimeout(giveUp);
			await release();
		},
	};
}
