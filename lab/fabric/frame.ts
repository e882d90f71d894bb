/** What is in a frame: Ethernet with VLAN tags, ARP, IPv4, IPv6 with its extension headers, fragments, TCP, UDP, ICMP. */
import {Address4, Address6} from 'ip-address';
import type {Family} from '../spec/family.ts';

/** Numbers of protocols above IP that have a name here (IANA, Assigned Internet Protocol Numbers). */
export const protocolNumbers = {icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132} as const;

/** A protocol above IP by its name. */
export type ProtocolName = keyof typeof protocolNumbers;

/** EtherTypes (IEEE 802; RFC 894, RFC 826, RFC 2464). */
export const etherTypes = {ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd} as const;

/** A piece of a packet that was sent in several (RFC 791, 3.2; RFC 8200, 4.5). */
export interface Fragment {
	readonly id: number;
	/** Bytes of the packet before it. The first one has 0, and it alone has the ports. */
	readonly offset: number;
	/** Do others follow it? */
	readonly more: boolean;
}

/** A TCP segment's header (RFC 9293, 3.1). */
export interface TcpSegment {
	readonly sequence: number;
	readonly acknowledgment: number;
	readonly syn: boolean;
	readonly ack: boolean;
	readonly fin: boolean;
	readonly rst: boolean;
	/** Bytes of data that it carries, by the packet's own length: more than was captured, where that was cut. */
	readonly data: number;
}

/** An IP packet. */
export interface Packet {
	readonly family: Family;
	/** In the form that ip(8) prints: '192.168.1.1', '1000::1'. */
	readonly source: string;
	readonly destination: string;
	/** Number of what is above IP, behind all extension headers; undefined where the frame ends before it is told. */
	readonly protocol: number | undefined;
	/** Its length by its own header, in bytes, the header included. */
	readonly length: number;
	readonly fragment?: Fragment;
	/** Of TCP, UDP and SCTP; a later fragment has none. */
	readonly ports?: {readonly source: number; readonly destination: number};
	readonly tcp?: TcpSegment;
	/** `id` is that of an echo, asked or answered. */
	readonly icmp?: {readonly type: number; readonly code: number; readonly id?: number};
}

/** An ARP message for Ethernet and IPv4 (RFC 826). */
export interface ArpMessage {
	/** 1 asks, 2 answers. */
	readonly operation: number;
	readonly sender: string;
	readonly target: string;
}

/** A frame, as far as it was captured. */
export interface Frame {
	/** MAC addresses, as ip(8) prints them. */
	readonly source: string;
	readonly destination: string;
	/** Numbers of the VLANs that it is tagged with, outermost first. */
	readonly vlans: readonly number[];
	/** What it carries, behind its tags. */
	readonly etherType: number;
	readonly arp?: ArpMessage;
	readonly packet?: Packet;
}

/** Bytes of a frame's two addresses, behind which its type is, or the tag of a VLAN. */
export const addressBytes = 12;
/** Bytes of a tag: its type, and three bits of priority, one of drop eligibility, twelve of the VLAN (IEEE 802.1Q, 9.6). */
export const tagBytes = 4;
/** The type of the tag that a customer's switch looks at (802.1Q, table 9-1). */
export const tagType = 0x8100;
/** Of VLAN tags (802.1Q, 802.1ad): four bytes each, with the next type behind. */
const tagTypes: ReadonlySet<number> = new Set([tagType, 0x88a8]);
/** Protocols whose header begins with two ports of two bytes. */
export const withPorts: ReadonlySet<number> = new Set([protocolNumbers.tcp, protocolNumbers.udp, protocolNumbers.sctp]);
/** IPv6 headers that another one follows, and whose length is in units of eight bytes without the first: hop-by-hop, routing, destination options, mobility, HIP, shim6 (RFC 7045). */
const extensionHeaders: ReadonlySet<number> = new Set([0, 43, 60, 135, 139, 140]);
/** RFC 8200, 4.5. */
const fragmentHeader = 44;
/** RFC 4302: its length is in units of four bytes, without the first two. */
const authenticationHeader = 51;
/** Extension headers that are walked; a packet with more is taken for one that is cut short. RFC 8200 has each kind once, one of them twice. */
const mostExtensionHeaders = 16;

/** Where addresses are in an IPv4 header, and where that ends at the least (RFC 791, 3.1). */
export const ipv4Places = {source: 12, destination: 16, end: 20} as const;
/** Where addresses are in an IPv6 header, and where that ends (RFC 8200, 3). */
export const ipv6Places = {source: 8, destination: 24, end: 40} as const;
/** Where IPv4 addresses are in an ARP message for Ethernet (RFC 826). */
export const arpPlaces = {sender: 14, target: 24, end: 28} as const;

/** Where the payload of a frame begins, behind its type and the tags of VLANs; -1 for a frame that ends before. */
export function payloadAt(buffer: Buffer, start: number, end: number): number {
	for (let at = start + addressBytes; at + 2 <= end; at += tagBytes) {
		const type = (buffer[at]! << 8) | buffer[at + 1]!;
		if (!tagTypes.has(type)) {
			return at + 2;
		}
	}

	return -1;
}

/** The EtherType right before a place that `payloadAt` gave; 0, which is none, for -1. */
export function etherTypeAt(buffer: Buffer, payload: number): number {
	return payload === -1 ? 0 : (buffer[payload - 2]! << 8) | buffer[payload - 1]!;
}

/** Is it an ARP message for Ethernet and IPv4, as a whole? */
export function isEthernetArp(buffer: Buffer, at: number, end: number): boolean {
	return at + arpPlaces.end <= end && buffer.readUInt16BE(at) === 1 && buffer.readUInt16BE(at + 2) === etherTypes.ipv4;
}

/** Is it the whole header of an IPv4 packet, at the least? */
export function isIpv4(buffer: Buffer, at: number, end: number): boolean {
	return at + ipv4Places.end <= end && buffer[at]! >> 4 === 4 && (buffer[at]! & 0x0f) * 4 >= ipv4Places.end;
}

/** Is it the whole header of an IPv6 packet? */
export function isIpv6(buffer: Buffer, at: number, end: number): boolean {
	return at + ipv6Places.end <= end && buffer[at]! >> 4 === 6;
}

/**
 * What an IPv4 packet carries, in one number, so that nothing has to be made for it: the protocol's in the lowest eight bits, above them the place
 * where that begins, or 0 where it does not, in a later fragment. -1 for a packet that is cut short, or is none (RFC 791, 3.1).
 */
export function transportOfIpv4(buffer: Buffer, at: number, end: number): number {
	if (!isIpv4(buffer, at, end)) {
		return -1;
	}

	const isLater = ((buffer[at + 6]! & 0x1f) | buffer[at + 7]!) !== 0;
	return ((isLater ? 0 : at + (buffer[at]! & 0x0f) * 4) << 8) | buffer[at + 9]!;
}

/** The same of an IPv6 packet, behind its extension headers (RFC 8200, 4). */
export function transportOfIpv6(buffer: Buffer, start: number, end: number): number {
	if (!isIpv6(buffer, start, end)) {
		return -1;
	}

	let protocol = buffer[start + 6]!;
	let at = start + ipv6Places.end;
	for (let headers = 0; headers <= mostExtensionHeaders; headers++) {
		const isFragment = protocol === fragmentHeader;
		if (!isFragment && protocol !== authenticationHeader && !extensionHeaders.has(protocol)) {
			return (at << 8) | protocol;
		}

		if (at + 8 > end) {
			return -1;
		}

		const next = buffer[at]!;
		if (isFragment && (buffer[at + 2]! | (buffer[at + 3]! & 0xf8)) !== 0) {
			return next;
		}

		at += isFragment ? 8 : protocol === authenticationHeader ? (buffer[at + 1]! + 2) * 4 : (buffer[at + 1]! + 1) * 8;
		protocol = next;
	}

	return -1;
}

/** Texts of addresses that were read before, by their bytes: making one takes longer than all else here. */
const addressTexts = new Map<string, string>();
/** A guest that makes up addresses must not fill our memory. */
const mostAddressTexts = 4096;

function addressText(buffer: Buffer, at: number, bytes: 4 | 16): string {
	const key = buffer.toString('latin1', at, at + bytes);
	const known = addressTexts.get(key);
	if (known !== undefined) {
		return known;
	}

	const list = [...buffer.subarray(at, at + bytes)];
	const text = (bytes === 4 ? Address4.fromByteArray(list) : Address6.fromByteArray(list)).correctForm();
	if (addressTexts.size >= mostAddressTexts) {
		addressTexts.clear();
	}

	addressTexts.set(key, text);
	return text;
}

function macText(buffer: Buffer, at: number): string {
	return buffer.toString('hex', at, at + 6).replaceAll(/(..)(?!$)/g, '$1:');
}

/**
 * Reads a frame. What it has not, or what was cut off, is not in the result; undefined when there is no whole Ethernet header.
 *
 * @param buffer holds the frame from `start` to `end`
 */
export function decodeFrame(buffer: Buffer, start: number, end: number): Frame | undefined {
	const vlans: number[] = [];
	let at = start + addressBytes;
	while (at + 2 <= end) {
		const etherType = buffer.readUInt16BE(at);
		if (!tagTypes.has(etherType)) {
			const head = {destination: macText(buffer, start), source: macText(buffer, start + 6), vlans, etherType};
			if (etherType === etherTypes.arp) {
				const arp = decodeArp(buffer, at + 2, end);
				return arp === undefined ? head : {...head, arp};
			}

			const packet = decodePacket(buffer, at + 2, end, etherType);
			return packet === undefined ? head : {...head, packet};
		}

		if (at + tagBytes > end) {
			break;
		}

		vlans.push(buffer.readUInt16BE(at + 2) & 0x0fff);
		at += tagBytes;
	}

	return undefined;
}

function decodeArp(buffer: Buffer, at: number, end: number): ArpMessage | undefined {
	return isEthernetArp(buffer, at, end)
		? {operation: buffer.readUInt16BE(at + 6), sender: addressText(buffer, at + arpPlaces.sender, 4), target: addressText(buffer, at + arpPlaces.target, 4)} : undefined;
}

function decodePacket(buffer: Buffer, at: number, end: number, etherType: number): Packet | undefined {
	if (etherType === etherTypes.ipv4) {
		return decodeIpv4(buffer, at, end);
	}

	return etherType === etherTypes.ipv6 ? decodeIpv6(buffer, at, end) : undefined;
}

/** RFC 791, 3.1. */
function decodeIpv4(buffer: Buffer, at: number, end: number): Packet | undefined {
	if (!isIpv4(buffer, at, end)) {
		return undefined;
	}

	const header = (buffer.readUInt8(at) & 0x0f) * 4;
	const length = buffer.readUInt16BE(at + 2);
	const place = buffer.readUInt16BE(at + 6);
	const fragment = (place & 0x3fff) === 0 ? undefined : {id: buffer.readUInt16BE(at + 4), offset: (place & 0x1fff) * 8, more: (place & 0x2000) !== 0};
	const protocol = buffer.readUInt8(at + 9);
	return {
		family: 'ipv4', source: addressText(buffer, at + ipv4Places.source, 4), destination: addressText(buffer, at + ipv4Places.destination, 4), protocol, length,
		...(fragment && {fragment}),
		...((fragment?.offset ?? 0) === 0 && decodeUpper(buffer, at + header, end, protocol, length - header)),
	};
}

/** RFC 8200, 3 and 4. */
function decodeIpv6(buffer: Buffer, start: number, end: number): Packet | undefined {
	if (!isIpv6(buffer, start, end)) {
		return undefined;
	}

	const length = 40 + buffer.readUInt16BE(start + 4);
	const head = {family: 'ipv6' as const, source: addressText(buffer, start + ipv6Places.source, 16), destination: addressText(buffer, start + ipv6Places.destination, 16), length};
	let fragment: Fragment | undefined;
	let next = buffer.readUInt8(start + 6);
	let at = start + ipv6Places.end;
	for (let headers = 0; headers <= mostExtensionHeaders; headers++) {
		const isFragment = next === fragmentHeader;
		if (!isFragment && next !== authenticationHeader && !extensionHeaders.has(next)) {
			return {...head, protocol: next, ...(fragment && {fragment}), ...decodeUpper(buffer, at, end, next, length - (at - start))};
		}

		if (at + 8 > end) {
			return {...head, protocol: undefined, ...(fragment && {fragment})};
		}

		if (isFragment) {
			const place = buffer.readUInt16BE(at + 2);
			fragment = {id: buffer.readUInt32BE(at + 4), offset: place & 0xfff8, more: (place & 1) === 1};
		}

		const following = buffer.readUInt8(at);
		const units = buffer.readUInt8(at + 1);
		if (isFragment && fragment !== undefined && fragment.offset > 0) {
			// What follows is a piece from the middle of the packet.
			return {...head, protocol: following, fragment};
		}

		at += isFragment ? 8 : (next === authenticationHeader ? (units + 2) * 4 : (units + 1) * 8);
		next = following;
	}

	return {...head, protocol: undefined, ...(fragment && {fragment})};
}

/** What is above IP. `length` is that of all of it, by the packet's header. */
function decodeUpper(buffer: Buffer, at: number, end: number, protocol: number, length: number): Pick<Packet, 'ports' | 'tcp' | 'icmp'> {
	if ((protocol === protocolNumbers.icmp || protocol === protocolNumbers.icmpv6) && at + 4 <= end) {
		const [type, code] = [buffer.readUInt8(at), buffer.readUInt8(at + 1)];
		// RFC 792 and RFC 4443, 4: the identifier of an echo and of its reply.
		const isEcho = protocol === protocolNumbers.icmp ? type === 8 || type === 0 : type === 128 || type === 129;
		return {icmp: {type, code, ...(isEcho && at + 6 <= end && {id: buffer.readUInt16BE(at + 4)})}};
	}

	if (!withPorts.has(protocol) || at + 4 > end) {
		return {};
	}

	const ports = {source: buffer.readUInt16BE(at), destination: buffer.readUInt16BE(at + 2)};
	if (protocol !== protocolNumbers.tcp || at + 14 > end) {
		return {ports};
	}

	const flags = buffer.readUInt8(at + 13);
	return {
		ports,
		tcp: {
			sequence: buffer.readUInt32BE(at + 4), acknowledgment: buffer.readUInt32BE(at + 8),
			fin: (flags & 1) !== 0, syn: (flags & 2) !== 0, rst: (flags & 4) !== 0, ack: (flags & 16) !== 0,
			data: Math.max(0, length - (buffer.readUInt8(at + 12) >> 4) * 4),
		},
	};
}
