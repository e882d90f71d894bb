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

/** Of VLAN tags (802.1Q, 802.1ad): four bytes each, with the next type behind. */
export const tagTypes: ReadonlySet<number> = new Set([0x8100, 0x88a8]);
/** Protocols whose header begins with two ports of two bytes: TCP, UDP, DCCP, SCTP, UDP-Lite. */
const withPorts: ReadonlySet<number> = new Set([6, 17, 33, 132, 136]);
/** IPv6 headers that another one follows, and whose length is in units of eight bytes without the first: hop-by-hop, routing, destination options, mobility, HIP, shim6 (RFC 7045). */
export const extensionHeaders: ReadonlySet<number> = new Set([0, 43, 60, 135, 139, 140]);
/** RFC 8200, 4.5. */
export const fragmentHeader = 44;
/** RFC 4302: its length is in units of four bytes, without the first two. */
export const authenticationHeader = 51;

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
	let at = start + 12;
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

		if (at + 4 > end) {
			break;
		}

		vlans.push(buffer.readUInt16BE(at + 2) & 0x0fff);
		at += 4;
	}

	return undefined;
}

function decodeArp(buffer: Buffer, at: number, end: number): ArpMessage | undefined {
	// Hardware Ethernet, protocol IPv4.
	if (at + 28 > end || buffer.readUInt16BE(at) !== 1 || buffer.readUInt16BE(at + 2) !== etherTypes.ipv4) {
		return undefined;
	}

	return {operation: buffer.readUInt16BE(at + 6), sender: addressText(buffer, at + 14, 4), target: addressText(buffer, at + 24, 4)};
}

function decodePacket(buffer: Buffer, at: number, end: number, etherType: number): Packet | undefined {
	if (etherType === etherTypes.ipv4) {
		return decodeIpv4(buffer, at, end);
	}

	return etherType === etherTypes.ipv6 ? decodeIpv6(buffer, at, end) : undefined;
}

/** RFC 791, 3.1. */
function decodeIpv4(buffer: Buffer, at: number, end: number): Packet | undefined {
	if (at + 20 > end) {
		return undefined;
	}

	const header = (buffer.readUInt8(at) & 0x0f) * 4;
	if (buffer.readUInt8(at) >> 4 !== 4 || header < 20) {
		return undefined;
	}

	const length = buffer.readUInt16BE(at + 2);
	const place = buffer.readUInt16BE(at + 6);
	const fragment = (place & 0x3fff) === 0 ? undefined : {id: buffer.readUInt16BE(at + 4), offset: (place & 0x1fff) * 8, more: (place & 0x2000) !== 0};
	const protocol = buffer.readUInt8(at + 9);
	return {
		family: 'ipv4', source: addressText(buffer, at + 12, 4), destination: addressText(buffer, at + 16, 4), protocol, length,
		...(fragment && {fragment}),
		...((fragment?.offset ?? 0) === 0 && decodeUpper(buffer, at + header, end, protocol, length - header)),
	};
}

/** RFC 8200, 3 and 4. */
function decodeIpv6(buffer: Buffer, start: number, end: number): Packet | undefined {
	if (start + 40 > end || buffer.readUInt8(start) >> 4 !== 6) {
		return undefined;
	}

	const length = 40 + buffer.readUInt16BE(start + 4);
	const head = {family: 'ipv6' as const, source: addressText(buffer, start + 8, 16), destination: addressText(buffer, start + 24, 16), length};
	let fragment: Fragment | undefined;
	let next = buffer.readUInt8(start + 6);
	let at = start + 40;
	for (;;) {
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
