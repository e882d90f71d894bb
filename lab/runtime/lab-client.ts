/** The other end of a lab's socket: for every process that does not own the lab. */
import {once} from 'node:events';
import {createConnection} from 'node:net';
import path from 'node:path';
import type {CaptureRequest} from '../fabric/capture-request.ts';
import {failure} from '../host/failure.ts';
import {labFolder} from '../host/folder.ts';
import {socketPath} from '../host/socket-path.ts';
import {createLineReader, type LabAnswer, type LabQuestion, socketFile} from './lab-socket.ts';

/**
 * Asks a lab, and gives each answer to `take` until the lab ends the connection.
 *
 * @throws the system's error when nobody listens (ENOENT, ECONNREFUSED); the signal's reason
 */
export async function askLab(folder: string, question: LabQuestion, take: (answer: LabAnswer) => void, signal?: AbortSignal): Promise<void> {
	signal?.throwIfAborted();
	const place = await socketPath(path.join(folder, socketFile));
	try {
		const socket = createConnection(place.path);
		await once(socket, 'connect');
		const abort = (): void => {
			socket.destroy();
		};

		signal?.addEventListener('abort', abort, {once: true});
		// It may have been aborted while we connected.
		if (signal?.aborted) {
			abort();
		}

		try {
			socket.setEncoding('utf8');
			const closed = new Promise<void>((resolve, reject) => {
				// What breaks while we read is the end of the owner, which says it in its own way.
				socket.on('error', () => {});
				socket.on('close', () => {
					resolve();
				});
				const read = createLineReader((line) => {
					take(JSON.parse(line) as LabAnswer);
				});
				socket.on('data', (chunk: string) => {
					try {
						read(chunk);
					} catch (error) {
						socket.destroy();
						reject(error);
					}
				});
			});
			socket.write(`${JSON.stringify(question)}\n`);
			await closed;
		} finally {
			signal?.removeEventListener('abort', abort);
		}
	} finally {
		await place.release();
	}

	signal?.throwIfAborted();
}

/**
 * Asks a lab what has one answer, of this kind, and gives that.
 *
 * @throws what the lab failed with, `supervisor-lost` when it ends the connection without an answer, and what `askLab` throws
 */
export async function askLabFor<Kind extends LabAnswer['answer']>(lab: string, question: LabQuestion, kind: Kind, signal?: AbortSignal): Promise<Extract<LabAnswer, {answer: Kind}>> {
	let last: LabAnswer | undefined;
	await askLab(labFolder(lab), question, (answer) => {
		last = answer;
	}, signal);
	if (last?.answer === kind) {
		return last as Extract<LabAnswer, {answer: Kind}>;
	}

	throw last?.answer === 'error' ? failure.told(last.error) : failure.supervisorLost(lab, 'it ended the connection', []);
}

/**
 * Has a lab make a capture of its links.
 *
 * @returns the path of its socket: see `connectCapture`
 * @throws what `Fabric.capture` and `askLabFor` throw
 */
export async function captureLab(lab: string, request: CaptureRequest, signal?: AbortSignal): Promise<string> {
	const {socket} = await askLabFor(lab, {request: 'capture', capture: request}, 'capture', signal);
	return path.join(labFolder(lab), socket);
}
