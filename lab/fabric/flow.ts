/**
 * Flows: what two ends sent to each other, and over which links it went, from recorded frames.
 *
 * Frames with the same two addresses, ports and protocol are a flow, on whatever links they were. Where addresses are
 * translated on the way (NAT, NAT64), a TCP connection stays one flow: translation leaves the numbers alone with which both
 * sides begin (RFC 9293, 3.4.1), and two connections have the same ones by a chance of one in four thousand millions. UDP and
 * ICMP have nothing of the kind: there each side of a translation is a flow of its own, to be asked for by its own addresses.
 */
import type {Family} from '../spec/family.ts';
import {checkMatch, type FrameMatch} from '../spec/frame-match.ts';
import {linkEnds} from './capture-request.ts';
import {decodeFrame, type Packet, type ProtocolName, protocolNumbers} from './frame.ts';
import type {LinkDirection} from '../spec/impairment.ts';
import type {RecordedFrame} from './recording.ts';

/** One end of a flow. */
export interface FlowEnd {
	readonly address: string;
	/** Of TCP, UDP and SCTP. */
	readonly port?: number;
}

/** `there` is from the end that began to the other one, `back` the reverse. */
export type Way = 'there' | 'back';

/** What went over one link, in one direction, with the same addresses. */
export interface FlowCrossing {
	/** 'node-1@cluster' */
	readonly link: string;
	readonly machine: string;
	readonly network: string;
	/** `from` the link's machine, or `to` it. */
	readonly direction: LinkDirection;
	readonly way: Way;
	/** As they were there: translation may have changed them. */
	readonly source: FlowEnd;
	readonly destination: FlowEnd;
	/** When the first and the last frame crossed, in milliseconds since 1970. */
	readonly first: number;
	readonly last: number;
	/** Those that were carried. Bytes are those of whole frames. */
	readonly frames: number;
	readonly bytes: number;
	/** TCP segments of which something had crossed here before. */
	readonly retransmissions: number;
	/** Frames that were dropped here, by reason. */
	readonly dropped: Readonly<Record<string, number>>;
}

/** What went one way, counted at the link where that way was seen first. */
export interface FlowCount {
	readonly frames: number;
	readonly bytes: number;
	readonly retransmissions: number;
}

/** What two ends sent to each other. */
export interface Flow {
	readonly family: Family;
	/** Of IP; undefined for one that has no name here. */
	readonly protocol: ProtocolName | undefined;
	readonly protocolNumber: number;
	/** The end that began, and the one that it wanted, as they were where the flow was seen first. */
	readonly from: FlowEnd;
	readonly to: FlowEnd;
	/** Milliseconds since 1970. */
	readonly first: number;
	readonly last: number;
	readonly there: FlowCount;
	readonly back: FlowCount;
	/** Did the other end send anything, other than TCP's word that it will not talk (RST)? How far that came, the crossings say. */
	readonly isAnswered: boolean;
	/** Who broke a TCP connection off (RST); undefined where nobody did. */
	readonly reset: Way | undefined;
	/** Both ways, in the order in which they were first seen. */
	readonly crossings: readonly FlowCrossing[];
}

/** By what flows are asked for. */
export const flowKeys = ['family', 'protocol', 'port', 'sourcePort', 'destinationPort', 'address', 'source', 'destination'] as const satisfies ReadonlyArray<keyof FrameMatch>;

/** Which flows are meant: all that is said is true of them at some link, on the way there. */
export type FlowQuery = Omit<FrameMatch, 'mac' | 'sourceMac' | 'destinationMac' | 'vlan' | 'protocol'> & {readonly protocol?: ProtocolName};

/** Sequence numbers count modulo 2 to the 32. */
const sequenceSpace = 0x1_0000_0000;

/** The parts of sequence space that crossed a link, relative to the first that did; in order, and apart from each other. */
interface Sent {
	origin: number;
	parts: Array<[start: number, end: number]>;
}

/** Adds a part. Says whether some of it was there already. */
function addPart(sent: Sent, sequence: number, length: number): boolean {
	// The nearest place to the origin, before it or behind it.
	const start = ((sequence - sent.origin + sequenceSpace / 2 + sequenceSpace) % sequenceSpace) - sequenceSpace / 2;
	const end = start + length;
	const touching = sent.parts.filter(([from, to]) => from <= end && to >= start);
	const seen = touching.some(([from, to]) => from < end && to > start);
	const whole: [number, number] = [Math.min(start, ...touching.map(([from]) => from)), Math.max(end, ...touching.map(([, to]) => to))];
	sent.parts = [...sent.parts.filter((part) => !touching.includes(part)), whole].sort(([a], [b]) => a - b);
	return seen;
}

/** A crossing while it is counted. */
interface Counting {
	readonly frame: RecordedFrame;
	readonly source: FlowEnd;
	readonly destination: FlowEnd;
	last: number;
	frames: number;
	bytes: number;
	retransmissions: number;
	resets: number;
	readonly dropped: Record<string, number>;
	sent: Sent | undefined;
}

/** What has the same addresses, and in TCP the same beginning. */
interface Side {
	readonly family: Family;
	readonly protocol: number;
	/** Place of its first frame among all. */
	readonly place: number;
	/** The end that began. */
	begins: FlowEnd;
	other: FlowEnd;
	/** The numbers that its ends began with, in TCP. */
	initial: number | undefined;
	answered: number | undefined;
	readonly crossings: Map<string, Counting>;
}

function endKey({address, port}: FlowEnd): string {
	return `${address} ${port ?? ''}`;
}

/** What fragments of one packet have in common, of which the first one alone has its ports, or its message of ICMP. */
function fragmentKey(packet: Packet): string | undefined {
	return packet.fragment === undefined ? undefined : `${packet.source} ${packet.destination} ${packet.protocol} ${packet.fragment.id}`;
}

/** Something that is neither of these is no flow. */
type Part = {readonly packet: Packet; readonly protocol: number; readonly source: FlowEnd; readonly destination: FlowEnd; readonly extra: string};

function partOf(packet: Packet, {ports, icmp}: Pick<Packet, 'ports' | 'icmp'>): Part | undefined {
	const {protocol} = packet;
	if (protocol === undefined) {
		return undefined;
	}

	return {
		packet, protocol,
		source: {address: packet.source, ...(ports && {port: ports.source})},
		destination: {address: packet.destination, ...(ports && {port: ports.destination})},
		// A ping and its replies; all other messages of ICMP by their type.
		extra: icmp === undefined ? '' : icmp.id === undefined ? `type ${icmp.type}` : `echo ${icmp.id}`,
	};
}

/** Sides by what is the same for both directions. */
function sidesOf(frames: readonly RecordedFrame[]): Side[] {
	const packets = frames.map(({bytes}) => decodeFrame(bytes, 0, bytes.length)?.packet);
	const isFirst = ({ports, icmp}: Packet): boolean => ports !== undefined || icmp !== undefined;
	/** By key: what begins it, of those so far the last, and of those to come the next. Numbers of fragments come again. */
	const begun = new Map<string, Packet>();
	const toCome = new Map<string, Packet>();
	for (const packet of packets.toReversed()) {
		const key = packet && isFirst(packet) ? fragmentKey(packet) : undefined;
		if (key !== undefined) {
			toCome.set(key, packet!);
		}
	}

	const firstOf = (packet: Packet): Packet => {
		const key = fragmentKey(packet);
		if (key === undefined) {
			return packet;
		}

		if (isFirst(packet)) {
			begun.set(key, packet);
			return packet;
		}

		return begun.get(key) ?? toCome.get(key) ?? packet;
	};

	const current = new Map<string, Side>();
	const sides: Side[] = [];
	for (const [place, frame] of frames.entries()) {
		const packet = packets[place];
		const part = packet && partOf(packet, firstOf(packet));
		if (part === undefined) {
			continue;
		}

		const {source, destination, protocol, extra} = part;
		const {tcp} = part.packet;
		const ends = [endKey(source), endKey(destination)].sort().join(' ');
		const key = `${protocol} ${extra} ${ends}`;
		const opens = tcp?.syn === true && !tcp.ack;
		let side = current.get(key);
		// The same ports again, for another connection.
		if (side === undefined || (opens && side.initial !== undefined && (side.initial !== tcp.sequence || endKey(side.begins) !== endKey(source)))) {
			const answers = tcp?.syn === true && tcp.ack;
			side = {
				family: part.packet.family, protocol, place, begins: answers ? destination : source, other: answers ? source : destination,
				initial: undefined, answered: undefined, crossings: new Map(),
			};
			current.set(key, side);
			sides.push(side);
		}

		if (opens) {
			side.begins = source;
			side.other = destination;
			side.initial = tcp.sequence;
		} else if (tcp?.syn === true) {
			side.answered = tcp.sequence;
			side.initial ??= (tcp.acknowledgment + sequenceSpace - 1) % sequenceSpace;
		}

		count(side, frame, part);
	}

	return sides;
}

function count(side: Side, frame: RecordedFrame, {packet: {tcp}, source, destination}: Part): void {
	const key = `${frame.link} ${frame.direction} ${endKey(source)}`;
	let crossing = side.crossings.get(key);
	if (crossing === undefined) {
		crossing = {frame, source, destination, last: frame.time, frames: 0, bytes: 0, retransmissions: 0, resets: 0, dropped: {}, sent: undefined};
		side.crossings.set(key, crossing);
	}

	crossing.last = frame.time;
	if (frame.dropped !== undefined) {
		crossing.dropped[frame.dropped] = (crossing.dropped[frame.dropped] ?? 0) + 1;
		return;
	}

	crossing.frames += 1;
	crossing.bytes += frame.length;
	if (tcp === undefined) {
		return;
	}

	crossing.resets += tcp.rst ? 1 : 0;
	// SYN and FIN count as a byte each (RFC 9293, 3.4).
	const length = tcp.data + (tcp.syn ? 1 : 0) + (tcp.fin ? 1 : 0);
	if (length > 0) {
		crossing.sent ??= {origin: tcp.sequence, parts: []};
		crossing.retransmissions += addPart(crossing.sent, tcp.sequence, length) ? 1 : 0;
	}
}

/** Sides that are one connection: TCP with the same initial numbers, as far as they are known. */
function joined(sides: readonly Side[]): Side[][] {
	const groups: Side[][] = [];
	const byInitial = new Map<number, Side[][]>();
	for (const side of sides) {
		const same = side.initial === undefined ? undefined : byInitial.get(side.initial)?.find((group) =>
			group.every(({answered}) => answered === undefined || side.answered === undefined || answered === side.answered)
			// One that has the same addresses is another connection, later.
			&& group.every((other) => endKey(other.begins) !== endKey(side.begins) || endKey(other.other) !== endKey(side.other)));
		if (same !== undefined) {
			same.push(side);
			continue;
		}

		const group = [side];
		groups.push(group);
		if (side.initial !== undefined) {
			byInitial.set(side.initial, [...byInitial.get(side.initial) ?? [], group]);
		}
	}

	return groups;
}

const protocolNames = new Map<number, ProtocolName>(Object.entries(protocolNumbers).map(([name, number]) => [number, name as ProtocolName]));

function flowOf(sides: readonly Side[], places: ReadonlyMap<RecordedFrame, number>): Flow {
	const first = sides[0]!;
	const counted = sides
		.flatMap((side) => [...side.crossings.values()].map((crossing) => ({crossing, way: (endKey(crossing.source) === endKey(side.begins) ? 'there' : 'back') as Way})))
		.sort((a, b) => places.get(a.crossing.frame)! - places.get(b.crossing.frame)!);
	const countOf = (wanted: Way): FlowCount => {
		const {frames = 0, bytes = 0, retransmissions = 0} = counted.find(({way, crossing}) => way === wanted && crossing.frames > 0)?.crossing ?? {};
		return {frames, bytes, retransmissions};
	};

	const resetting = counted.find(({crossing}) => crossing.resets > 0)?.way;
	return {
		family: first.family, protocol: protocolNames.get(first.protocol), protocolNumber: first.protocol, from: first.begins, to: first.other,
		first: counted[0]!.crossing.frame.time, last: Math.max(...counted.map(({crossing}) => crossing.last)),
		there: countOf('there'), back: countOf('back'),
		isAnswered: counted.some(({way, crossing}) => way === 'back' && crossing.frames > crossing.resets),
		reset: resetting,
		crossings: counted.map(({way, crossing: {frame, source, destination, last, frames, bytes, retransmissions, dropped}}) => ({
			link: frame.link, ...linkEnds(frame.link), direction: frame.direction, way, source, destination, first: frame.time, last, frames, bytes, retransmissions, dropped,
		})),
	};
}

/** The flows among recorded frames, in the order in which they began. Frames that are no IP packets belong to none. */
export function findFlows(frames: readonly RecordedFrame[]): Flow[] {
	const places = new Map(frames.map((frame, place) => [frame, place]));
	return joined(sidesOf(frames)).map((sides) => flowOf(sides, places));
}

/** Those of the flows that are meant. Throws what `checkMatch` throws. */
export function selectFlows(flows: readonly Flow[], query: FlowQuery): Flow[] {
	const wanted = checkMatch(query);
	const has = <Value>(value: Value | undefined, one: Value | undefined): boolean => value === undefined || value === one;
	const either = <Value>(value: Value | undefined, one: Value | undefined, two: Value | undefined): boolean => has(value, one) || has(value, two);
	return flows.filter((flow) => has(wanted.protocol, flow.protocol) && flow.crossings.some(({way, source, destination}) => way === 'there'
		&& has(wanted.family, source.address.includes(':') ? 'ipv6' : 'ipv4')
		&& either(wanted.port, source.port, destination.port) && has(wanted.sourcePort, source.port) && has(wanted.destinationPort, destination.port)
		&& either(wanted.address, source.address, destination.address) && has(wanted.source, source.address) && has(wanted.destination, destination.address)));
}

/** Did something go into that machine and out of it again, on that way? True of routers, and of nodes that pass a connection on. */
export function passesThrough(flow: Flow, machine: string, way: Way = 'there'): boolean {
	const own = flow.crossings.filter((crossing) => crossing.way === way && crossing.machine === machine && crossing.frames > 0);
	const entered = own.findIndex(({direction}) => direction === 'to');
	return entered !== -1 && own.slice(entered).some(({direction}) => direction === 'from');
}

/** `192.168.1.1:80`, `[1000::1]:80`, `192.168.1.1` */
function endText({address, port}: FlowEnd): string {
	return port === undefined ? address : `${address.includes(':') ? `[${address}]` : address}:${port}`;
}

function countText({frames, retransmissions}: FlowCount): string {
	return `${frames}${retransmissions === 0 ? '' : ` (${retransmissions} of them again)`}`;
}

/** A flow in words: a line for the whole, and one for each link. For the details of a claim. */
export function describeFlow(flow: Flow): string[] {
	const {protocol, protocolNumber, from, to, there, back, isAnswered, reset, crossings} = flow;
	const end = reset === undefined ? '' : `, broken off by ${endText(reset === 'there' ? from : to)}`;
	return [
		`${protocol ?? `protocol ${protocolNumber}`} ${endText(from)} -> ${endText(to)}: ${isAnswered ? 'answered' : 'not answered'}${end}; frames there ${countText(there)}, back ${countText(back)}`,
		...crossings.map(({link, direction, way, source, destination, frames, retransmissions, dropped}) => {
			const lost = Object.entries(dropped).map(([reason, number]) => `, ${number} dropped: ${reason}`).join('');
			return `  ${way} ${direction} ${link}: ${endText(source)} -> ${endText(destination)}, ${countText({frames, bytes: 0, retransmissions})}${lost}`;
		}),
	];
}
