/** A lab that another process owns, with what steps need of a lab. */
import {setMaxListeners} from 'node:events';
import {existsSync} from 'node:fs';
import path from 'node:path';
import type {CaptureRequest} from '../fabric/capture-request.ts';
import {readCapture, receiveRecording} from '../fabric/capture-stream.ts';
import type {LinkChange, LinkSetting} from '../fabric/link-setting.ts';
import type {LinkReport} from '../fabric/link.ts';
import type {Recording} from '../fabric/recording.ts';
import type {NetworkTraffic} from '../fabric/traffic.ts';
import {type EventSink, noEvents} from '../event/event.ts';
import type {LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {labFolder} from '../host/folder.ts';
import type {SshConnection} from '../machine/ssh.ts';
import type {Plan} from '../plan/plan.ts';
import type {MadeStage} from '../store/store.ts';
import {collectEvidence} from './evidence.ts';
import {askLab, askLabFor, captureLab} from './lab-client.ts';
import {changeLink, readLinks} from './lab-links.ts';
import {changeMachine, machineReady, readMachines} from './lab-machines.ts';
import type {MachineChange, MachineReport} from './machine-change.ts';
import {connectMachine, type LabRecord, readLab} from './labs.ts';

/** The parts of a lab that do not depend on owning it. */
export interface AttachedLab {
	readonly name: string;
	readonly plan: Plan;
	readonly made: ReadonlyMap<string, MadeStage>;
	readonly speed: number;
	readonly kubeconfig?: string;
	/** As that of a `Lab`; it also aborts when the lab's owner is lost. */
	readonly over: AbortSignal;
	/** A connection of one's own to a machine. */
	ssh(machine: string, signal?: AbortSignal): Promise<SshConnection>;
	/** As that of a `Lab`; also throws `supervisor-lost`. */
	traffic(): Promise<readonly NetworkTraffic[]>;
	/** As those of a `Lab`; also throw `supervisor-lost`. */
	links(): Promise<readonly LinkReport[]>;
	changeLink(change: LinkChange): Promise<LinkSetting>;
	machineReports(): Promise<readonly MachineReport[]>;
	changeMachine(change: MachineChange, signal?: AbortSignal): Promise<void>;
	machineReady(machine: string, signal?: AbortSignal): Promise<void>;
	/** As that of a `Lab`; also throws `supervisor-lost`. */
	recording(since: number, signal?: AbortSignal): Promise<Recording>;
	/** As that of a `Lab`. */
	collectEvidence(folder: string, signal?: AbortSignal, span?: CaptureRequest['recorded']): Promise<void>;
	/** Watches the lab no longer: `over` stays as it is. The lab goes on. */
	detach(): void;
}

/**
 * A running lab, by its record; the plan and the stages are those that it was started with. Whoever attached it detaches it.
 *
 * @param events told of what befalls its machines from now on
 */
export function attachLab(record: LabRecord, plan: Plan, made: ReadonlyMap<string, MadeStage>, events: EventSink = noEvents): AttachedLab {
	const {name, speed} = record;
	const folder = labFolder(name);
	const kubeconfig = path.join(folder, 'kubeconfig');
	const detached = new AbortController();
	const over = new AbortController();
	setMaxListeners(0, over.signal);
	void watchEnd(name, detached.signal, (error) => {
		over.abort(error);
	}, events);
	return {
		name, plan, made, speed: Math.max(1, speed),
		...(existsSync(kubeconfig) && {kubeconfig}),
		over: over.signal,
		detach() {
			detached.abort();
		},
		// One that was powered on again may have another port.
		ssh: async (machine, signal) => connectMachine(await readLab(name), machine, {signal}),
		traffic: async () => (await askLabFor(name, {request: 'traffic'}, 'traffic')).networks,
		links: async () => readLinks(name),
		changeLink: async (change) => changeLink(name, change),
		machineReports: async () => readMachines(name),
		changeMachine: async (change, signal) => changeMachine(name, change, signal),
		machineReady: async (machine, signal) => machineReady(name, machine, signal),
		recording: async (since, signal) => receiveRecording(await captureLab(name, {recorded: {since}}, signal), signal),
		async collectEvidence(target, signal, span = {}) {
			const now = await readLab(name);
			await collectEvidence({
				folder, target, record: now, pace: Math.max(1, speed), signal,
				frames: async (late) => readCapture(await captureLab(name, {recorded: span}, late), late),
				machines: plan.machines.map((machine) => ({
					name: machine.name,
					evidence: machine.evidence,
					connect: async (deadline: number, late: AbortSignal) => connectMachine(now, machine.name, {deadline, signal: late}),
				})),
			});
		},
	};
}

/** Tells once why a lab cannot go on: what it says itself over its socket, or that it says nothing any more. */
async function watchEnd(name: string, detached: AbortSignal, tell: (error: LabError) => void, events: EventSink): Promise<void> {
	const since = Date.now();
	await askLab(labFolder(name), {request: 'events'}, (answer) => {
		// What was before is told too, and known.
		if (answer.answer === 'event' && (answer.event.type === 'machine' || answer.event.type === 'link') && answer.event.at >= since) {
			const {at: _at, ...event} = answer.event;
			events(event);
		}

		if (answer.answer !== 'event' || answer.event.type !== 'lab') {
			return;
		}

		const {event} = answer;
		if (event.reason === 'failed') {
			tell(failure.told(event.error));
		} else if (event.reason === 'stopping') {
			tell(failure.interrupted('the end of the lab'));
		}
	}, detached).catch(() => {});
	if (!detached.aborted) {
		// After what it said before, this changes nothing.
		tell(failure.supervisorLost(name, 'it ended the connection', []));
	}
}
