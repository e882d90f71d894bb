/** Which frames are meant: looks into a frame as far as its match needs. */
import type {FrameMatch, FrameProtocol} from '../spec/impairment.ts';
import {authenticationHeader, extensionHeaders, fragmentHeader, protocolNumbers} from './frame.ts';
import {payloadOf} from './traffic.ts';

/** Is this frame, from `start` to `end` of the buffer and without QEMU's header, one of those that are meant? */
export type FramePredicate = (buffer: Buffer, start: number, end: number) => boolean;

/** The family of a protocol that is of one alone; transports are of both. */
const ownPayloads: Readonly<Partial<Record<FrameProtocol, 'ipv4' | 'ipv6'>>> = {icmp: 'ipv4', icmpv6: 'ipv6'};
/** Those that begin with two ports, and can be matched by them. */
const withPorts: ReadonlySet<number> = new Set([protocolNumbers.tcp, protocolNumbers.udp, protocolNumbers.sctp]);

/** What an IP packet carries: the number of the protocol, and where that begins; -1 where it has no ports, being a fragment. */
interface Transport {
	readonly protocol: number;
	readonly at: number;
}

/** RFC 791. Undefined for a packet that is cut short. */
function transportOfIpv4(buffer: Buffer, at: number, end: number): Transport | undefined {
	if (end - at < 20) {
		return undefined;
	}

	const headerLength = (buffer[at]! & 0x0f) * 4;
	// More fragments follow, or it is not the first.
	const isFragment = (buffer.readUInt16BE(at + 6) & 0x3fff) !== 0;
	return {protocol: buffer[at + 9]!, at: isFragment || headerLength < 20 ? -1 : at + headerLength};
}

/** RFC 8200. Undefined for a packet that is cut short. */
function transportOfIpv6(buffer: Buffer, start: number, end: number): Transport | undefined {
	if (end - start < 40) {
		return undefined;
	}

	let protocol = buffer[start + 6]!;
	let at = start + 40;
	for (;;) {
		if (protocol === fragmentHeader) {
			if (at + 8 > end) {
				return undefined;
			}

			const next = buffer[at]!;
			// Its offset is not 0, or more follow. One that is the whole packet (RFC 6946) is none.
			if ((buffer.readUInt16BE(at + 2) & 0xfff9) !== 0) {
				return {protocol: next, at: -1};
			}

			protocol = next;
			at += 8;
		} else if (extensionHeaders.has(protocol) || protocol === authenticationHeader) {
			if (at + 2 > end) {
				return undefined;
			}

			const [next, length] = [buffer[at]!, buffer[at + 1]!];
			at += protocol === authenticationHeader ? (length + 2) * 4 : (length + 1) * 8;
			protocol = next;
		} else {
			return {protocol, at};
		}
	}
}

/** Is this the address at that place? */
function hasAddress(buffer: Buffer, at: number, address: Buffer): boolean {
	return buffer.compare(address, 0, 6, at, at + 6) === 0;
}

/** The predicate of a match; undefined where all frames are meant. */
export function framePredicate(match: FrameMatch | undefined): FramePredicate | undefined {
	if (match === undefined || Object.keys(match).length === 0) {
		return undefined;
	}

	const {family, protocol, port, sourcePort, destinationPort} = match;
	const [mac, sourceMac, destinationMac] = [match.mac, match.sourceMac, match.destinationMac].map((address) => (address === undefined ? undefined : Buffer.from(address.replaceAll(':', ''), 'hex')));
	const wantsPort = port !== undefined || sourcePort !== undefined || destinationPort !== undefined;
	const wantsProtocol = protocol === undefined || protocol === 'arp' ? undefined : protocolNumbers[protocol];
	const ownPayload = protocol === undefined ? undefined : ownPayloads[protocol];

	const matchesMac = (buffer: Buffer, start: number): boolean =>
		(destinationMac === undefined || hasAddress(buffer, start, destinationMac))
		&& (sourceMac === undefined || hasAddress(buffer, start + 6, sourceMac))
		&& (mac === undefined || hasAddress(buffer, start, mac) || hasAddress(buffer, start + 6, mac));

	const matchesPorts = (buffer: Buffer, transport: Transport, end: number): boolean => {
		if (transport.at < 0 || transport.at + 4 > end || !withPorts.has(transport.protocol)) {
			return false;
		}

		const [source, destination] = [buffer.readUInt16BE(transport.at), buffer.readUInt16BE(transport.at + 2)];
		return (sourcePort === undefined || source === sourcePort) && (destinationPort === undefined || destination === destinationPort)
			&& (port === undefined || source === port || destination === port);
	};

	return (buffer, start, end) => {
		if (end - start < 14 || !matchesMac(buffer, start)) {
			return false;
		}

		if (family === undefined && protocol === undefined && !wantsPort) {
			return true;
		}

		const {payload, at} = payloadOf(buffer, start, end);
		if (payload === 'arp') {
			return (protocol === undefined || protocol === 'arp') && family !== 'ipv6' && !wantsPort;
		}

		if (payload === 'other' || protocol === 'arp' || (family !== undefined && payload !== family) || (ownPayload ?? payload) !== payload) {
			return false;
		}

		if (wantsProtocol === undefined && !wantsPort) {
			return true;
		}

		const transport = payload === 'ipv4' ? transportOfIpv4(buffer, at, end) : transportOfIpv6(buffer, at, end);
		return transport !== undefined && (wantsProtocol === undefined || transport.protocol === wantsProtocol) && (!wantsPort || matchesPorts(buffer, transport, end));
	};
}
