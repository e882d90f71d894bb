/**
 * Everything that happens, as one union. The reports (terminal, JUnit, HTML, JSON lines) see only these; whoever does
 * the work sends them to an `EventSink`.
 */
import type {FailureDescription} from '../host/error.ts';

/** A stage of the plan: cached, being made, made, or failed. `stage` is its name (`image bookworm`), `key` its hash. */
export type StageEvent =
	| {type: 'stage'; reason: 'cached'; stage: string; key: string}
	| {type: 'stage'; reason: 'waiting'; stage: string; key: string; holder: string}
	| {type: 'stage'; reason: 'started'; stage: string; key: string}
	| {type: 'stage'; reason: 'progress'; stage: string; key: string; text: string}
	| {type: 'stage'; reason: 'made'; stage: string; key: string; seconds: number; bytes: number}
	| {type: 'stage'; reason: 'failed'; stage: string; key: string; seconds: number; error: FailureDescription};

/** A lab as a whole. Seconds count from its start. */
export type LabStateEvent =
	| {type: 'lab'; reason: 'starting' | 'booting' | 'forking' | 'freezing'; lab: string}
	/** Seconds that its machines stood still until their state was saved; none where they do not go on. */
	| {type: 'lab'; reason: 'frozen'; lab: string; seconds?: number}
	| {type: 'lab'; reason: 'ready'; lab: string; seconds: number}
	| {type: 'lab'; reason: 'failed'; lab: string; error: FailureDescription}
	| {type: 'lab'; reason: 'stopping' | 'ended'; lab: string};

/** One machine. Seconds count from its power-on. */
export type MachineEvent =
	| {type: 'machine'; reason: 'started'; lab: string; machine: string; pid: number}
	| {type: 'machine'; reason: 'answers'; lab: string; machine: string; seconds: number}
	| {type: 'machine'; reason: 'ready'; lab: string; machine: string; seconds: number}
	/** `expected`: its power was cut on purpose. */
	| {type: 'machine'; reason: 'exited'; lab: string; machine: string; code: number | null; signal: string | null; expected?: true}
	/** It begins anew, as with its reset button. `byItself`: it was told so inside, or its kernel decided so. */
	| {type: 'machine'; reason: 'reset'; lab: string; machine: string; byItself?: true}
	/** Something is wrong with it on purpose, or is so no more: in words, such as 'paused' or 'clock +90s'. Seconds that it lasted. */
	| {type: 'machine'; reason: 'fault'; lab: string; machine: string; fault: string}
	| {type: 'machine'; reason: 'recovered'; lab: string; machine: string; fault: string; seconds: number};

/** Something is wrong with a link on purpose, or is so no more: in words, such as 'cut' or 'to the machine: loss 5%'. Seconds that it lasted. */
export type LinkEvent =
	| {type: 'link'; reason: 'fault'; lab: string; link: string; fault: string}
	| {type: 'link'; reason: 'recovered'; lab: string; link: string; fault: string; seconds: number};

/**
 * A wait: it has a sentence, a deadline and a last observation. One that is given up, since what was seen ends all hope, has expired. Seconds. Those of a
 * scenario's steps name it.
 */
export type WaitEvent =
	| {type: 'wait'; reason: 'started'; sentence: string; deadline: number; scenario?: string}
	/** It goes on, and is told now and then with what was seen last. */
	| {type: 'wait'; reason: 'unmet'; sentence: string; seconds: number; last: string; scenario?: string}
	| {type: 'wait'; reason: 'met'; sentence: string; seconds: number; scenario?: string}
	| {type: 'wait'; reason: 'expired'; sentence: string; seconds: number; last: string; scenario?: string}
	/** It was not met, and nobody waits for it any more: what it was a part of has ended. */
	| {type: 'wait'; reason: 'given-up'; sentence: string; seconds: number; last: string; scenario?: string};

/**
 * A scenario and its steps. A step inside another names it as `parent`; within one parent titles are unique.
 * `lab` is the lab that the scenario runs against. Evidence is told of where steps failed, or the boot of the scenario's lab.
 */
export type ScenarioEvent =
	| {type: 'scenario'; reason: 'started'; scenario: string; summary: string; lab: string}
	| {type: 'scenario'; reason: 'passed'; scenario: string; seconds: number}
	| {type: 'scenario'; reason: 'failed'; scenario: string; seconds: number; error: FailureDescription}
	| {type: 'step'; reason: 'started'; scenario: string; step: string; parent?: string}
	| {type: 'step'; reason: 'passed'; scenario: string; step: string; parent?: string; seconds: number}
	| {type: 'step'; reason: 'failed'; scenario: string; step: string; parent?: string; seconds: number; error: FailureDescription}
	| {type: 'evidence'; scenario: string; path: string; files: number};

/** What a lab is made of, for a picture of it. */
export interface TopologyEvent {
	type: 'topology';
	lab: string;
	/** Subnets as CIDR; the MTU where it is not 1500; of a trunk its VLANs. */
	networks: ReadonlyArray<{name: string; subnets: readonly string[]; mtu?: number; kind?: 'point-to-point'; vlans?: ReadonlyArray<{network: string; id: number}>}>;
	/** Addresses with their prefix: '192.168.1.1/24'. A VLAN of a NIC follows it, with its number. */
	machines: ReadonlyArray<{name: string; role: string; links: ReadonlyArray<{network: string; device?: string; vlan?: number; addresses: readonly string[]}>}>;
}

/** A sentence for the person, outside the others. */
export interface NoteEvent {
	type: 'note';
	level: 'info' | 'warning';
	text: string;
	/** Whose steps say it. */
	scenario?: string;
	/** Always so on this computer, whatever lab it is about: reports say it once. */
	once?: true;
}

/** Anything that happens. */
export type LabEvent = StageEvent | LabStateEvent | MachineEvent | LinkEvent | WaitEvent | ScenarioEvent | TopologyEvent | NoteEvent;

/** An event with the moment it happened: milliseconds since 1970. */
export type TimedEvent = LabEvent & {at: number};

/** Takes events; must not throw. */
export type EventSink = (event: LabEvent) => void;

/** A sink that forgets, for callers who do not want to know. */
export const noEvents: EventSink = () => {};

/** A sink for what happens in the run of a scenario, the boot of its lab included: waits and notes are told as its own. */
export function ofScenario(scenario: string, events: EventSink): EventSink {
	return (event) => {
		events(event.type === 'wait' || event.type === 'note' ? {...event, scenario} : event);
	};
}
