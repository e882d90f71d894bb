/** Which frames are meant: a match as a test of bytes. It looks into a frame as far as it must, and makes nothing anew for one. */
import {Address4, Address6} from 'ip-address';
import {checkMatch, type FrameMatch} from '../spec/frame-match.ts';
import {arpPlaces, etherTypeAt, etherTypes, ipv4Places, ipv6Places, isEthernetArp, isIpv4, isIpv6, payloadAt, protocolNumbers, transportOfIpv4, transportOfIpv6, withPorts} from './frame.ts';
import {tagOf} from './vlan.ts';

/** Is this frame, from `start` to `end` of the buffer and without QEMU's header, one of those that are meant? One that was cut off is not, where what is asked for was cut. */
export type FramePredicate = (buffer: Buffer, start: number, end: number) => boolean;

/** Two places in a frame, which has something for each of two sides there, and what is wanted of them. */
type Sides = (buffer: Buffer, source: number, destination: number) => boolean;

function hasBytes(buffer: Buffer, at: number, wanted: Uint8Array): boolean {
	for (let index = 0; index < wanted.length; index++) {
		if (buffer[at + index] !== wanted[index]) {
			return false;
		}
	}

	return true;
}

/** Undefined where nothing is wanted. */
function bytesOfSides(either: Uint8Array | undefined, source: Uint8Array | undefined, destination: Uint8Array | undefined): Sides | undefined {
	return either === undefined && source === undefined && destination === undefined ? undefined : (buffer, sourceAt, destinationAt) =>
		(source === undefined || hasBytes(buffer, sourceAt, source)) && (destination === undefined || hasBytes(buffer, destinationAt, destination))
		&& (either === undefined || hasBytes(buffer, sourceAt, either) || hasBytes(buffer, destinationAt, either));
}

function macBytes(text: string | undefined): Uint8Array | undefined {
	return text === undefined ? undefined : Buffer.from(text.replaceAll(':', ''), 'hex');
}

function addressBytes(text: string | undefined): Uint8Array | undefined {
	return text === undefined ? undefined : text.includes(':') ? Buffer.from(new Address6(text).canonicalForm().replaceAll(':', ''), 'hex') : Uint8Array.from(new Address4(text).toArray());
}

function portBytes(port: number | undefined): Uint8Array | undefined {
	return port === undefined ? undefined : Uint8Array.of(port >> 8, port & 0xff);
}

/**
 * The predicate of a match; undefined where all frames are meant.
 *
 * @throws what `checkMatch` throws
 */
export function framePredicate(match: FrameMatch | undefined): FramePredicate | undefined {
	const {family, protocol, port, sourcePort, destinationPort, address, source, destination, mac, sourceMac, destinationMac, vlan} = checkMatch(match ?? {});
	const macs = bytesOfSides(macBytes(mac), macBytes(sourceMac), macBytes(destinationMac));
	const ports = bytesOfSides(portBytes(port), portBytes(sourcePort), portBytes(destinationPort));
	const wanted = [address, source, destination].map((text) => addressBytes(text));
	const addresses = bytesOfSides(wanted[0], wanted[1], wanted[2]);
	const number = protocol === undefined || protocol === 'arp' ? undefined : protocolNumbers[protocol];
	/** Can a frame with addresses of that many bytes be meant? */
	const canHave = (bytes: number): boolean => wanted.every((one) => one === undefined || one.length === bytes);
	const meantTypes = {
		arp: (protocol === undefined || protocol === 'arp') && family === undefined && ports === undefined && canHave(4),
		ipv4: protocol !== 'arp' && protocol !== 'icmpv6' && family !== 'ipv6' && canHave(4),
		ipv6: protocol !== 'arp' && protocol !== 'icmp' && family !== 'ipv4' && canHave(16),
	};
	const needsTransport = number !== undefined || ports !== undefined;
	const looksInside = family !== undefined || protocol !== undefined || ports !== undefined || addresses !== undefined;
	if (macs === undefined && vlan === undefined && !looksInside) {
		return undefined;
	}

	const meansTransport = (buffer: Buffer, transport: number, end: number): boolean => {
		if (transport === -1 || (number !== undefined && (transport & 0xff) !== number)) {
			return false;
		}

		const at = transport >>> 8;
		return ports === undefined || (at !== 0 && at + 4 <= end && withPorts.has(transport & 0xff) && ports(buffer, at, at + 2));
	};

	return (buffer, start, end) => {
		if (end - start < 14 || (macs !== undefined && !macs(buffer, start + 6, start)) || (vlan !== undefined && tagOf(buffer, start, end) !== vlan)) {
			return false;
		}

		if (!looksInside) {
			return true;
		}

		const at = payloadAt(buffer, start, end);
		switch (etherTypeAt(buffer, at)) {
			case etherTypes.ipv4: {
				return meantTypes.ipv4
					&& (addresses === undefined || (isIpv4(buffer, at, end) && addresses(buffer, at + ipv4Places.source, at + ipv4Places.destination)))
					&& (!needsTransport || meansTransport(buffer, transportOfIpv4(buffer, at, end), end));
			}

			case etherTypes.ipv6: {
				return meantTypes.ipv6
					&& (addresses === undefined || (isIpv6(buffer, at, end) && addresses(buffer, at + ipv6Places.source, at + ipv6Places.destination)))
					&& (!needsTransport || meansTransport(buffer, transportOfIpv6(buffer, at, end), end));
			}

			case etherTypes.arp: {
				return meantTypes.arp && (addresses === undefined || (isEthernetArp(buffer, at, end) && addresses(buffer, at + arpPlaces.sender, at + arpPlaces.target)));
			}

			default: {
				return false;
			}
		}
	};
}
