/**
 * The words that go over a lab's socket, `supervisor.sock` in its folder: JSON, one message a line, first a request and then
 * the answers. Whoever may enter the folder may use it; that is this user alone.
 */
import type {TimedEvent} from '../event/event.ts';
import type {CaptureRequest} from '../fabric/capture-request.ts';
import type {LinkChange, LinkSetting} from '../fabric/link-setting.ts';
import type {LinkReport} from '../fabric/link.ts';
import type {NetworkTraffic} from '../fabric/traffic.ts';
import type {FailureDescription} from '../host/error.ts';
import type {LabRecord} from './lab-record.ts';
import type {MachineChange, MachineReport} from './machine-change.ts';

/** The socket's file, in the lab's folder. */
export const socketFile = 'supervisor.sock';

/**
 * `status`: the record. `events`: all events from the beginning, and those to come until the lab has ended. `freeze`: the lab is
 * kept under a name, and goes on. `traffic`: what its networks have carried. `links`: all links, with what is set on them. `change-link`: what is set on one is changed;
 * answered with what was before. `machines`: all machines, with what is wrong with each on purpose. `change-machine`: that is changed. `machine-ready`: answered when a machine
 * that was reset or powered on is ready. `capture`: frames of its links, over a socket of their own (see `connectCapture`). `down`: the lab ends; answered when all but its folder is gone.
 */
export type LabQuestion =
	| {readonly request: 'status' | 'events' | 'traffic' | 'links' | 'machines' | 'down'}
	| {readonly request: 'freeze'; readonly name: string}
	| {readonly request: 'change-link'; readonly change: LinkChange}
	| {readonly request: 'change-machine'; readonly change: MachineChange}
	| {readonly request: 'machine-ready'; readonly machine: string}
	| {readonly request: 'capture'; readonly capture: CaptureRequest};

/**
 * What comes back: `status`, `event`, `frozen`, `traffic`, `links`, `link-changed`, `machines`, `machine-changed`, `machine-ready`, `capture` (the socket's name in the lab's folder) and `down` to the questions; `error` when it
 * could not be done.
 */
export type LabAnswer =
	| {readonly answer: 'status'; readonly record: LabRecord}
	| {readonly answer: 'event'; readonly event: TimedEvent}
	| {readonly answer: 'frozen'; readonly bytes: number}
	| {readonly answer: 'traffic'; readonly networks: readonly NetworkTraffic[]}
	| {readonly answer: 'links'; readonly links: readonly LinkReport[]}
	| {readonly answer: 'link-changed'; readonly before: LinkSetting}
	| {readonly answer: 'machines'; readonly machines: readonly MachineReport[]}
	| {readonly answer: 'machine-changed' | 'machine-ready'}
	| {readonly answer: 'capture'; readonly socket: string}
	| {readonly answer: 'down'}
	| {readonly answer: 'error'; readonly error: FailureDescription};

/** A question is a few bytes; who sends more is not one of us. */
const longestLine = 16 * 1024 * 1024;

/** Splits what comes from a socket into lines. Throws for a line that does not end. */
export function createLineReader(take: (line: string) => void): (chunk: string) => void {
	let rest = '';
	return (chunk) => {
		const lines = (rest + chunk).split('\n');
		rest = lines.pop() ?? '';
		if (rest.length > longestLine) {
			throw new Error('a message that does not end');
		}

		for (const line of lines) {
			take(line);
		}
	};
}
