/** Which frames are meant: all that a match says must be true of one. */
import {Address4, Address6} from 'ip-address';
import {failure} from '../host/failure.ts';
import {type Family, families} from '../spec/family.ts';
import {decodeFrame, etherTypes, type Frame, type ProtocolName, protocolNumbers} from './frame.ts';

/** What must be true of a frame; an empty one is true of all. */
export interface FrameMatch {
	/** The packet's; ARP is of none. */
	readonly family?: Family;
	readonly protocol?: ProtocolName | 'arp';
	/** A port of either side. Only the first fragment of a packet has ports. */
	readonly port?: number;
	readonly sourcePort?: number;
	readonly destinationPort?: number;
	/** An address of either side, of IP or in an ARP message. */
	readonly address?: string;
	readonly source?: string;
	readonly destination?: string;
	/** A MAC address of either side. */
	readonly mac?: string;
	readonly sourceMac?: string;
	readonly destinationMac?: string;
}

/** Names of protocols that a match can have. */
export const matchedProtocols: ReadonlyArray<NonNullable<FrameMatch['protocol']>> = [...Object.keys(protocolNumbers) as ProtocolName[], 'arp'];

const withoutPorts: ReadonlySet<string> = new Set(['icmp', 'icmpv6', 'arp']);

/** An address in the form that frames are decoded to. Throws `bad-value` when it is none. */
function addressForm(text: string): string {
	try {
		return text.includes(':') ? new Address6(text).correctForm() : new Address4(text).correctForm();
	} catch {
		throw failure.badValue('address', text, 'an IPv4 or IPv6 address, such as 192.168.1.1 or 1000::1');
	}
}

function macForm(text: string): string {
	const form = text.toLowerCase().replaceAll('-', ':');
	if (!/^[\da-f]{2}(:[\da-f]{2}){5}$/.test(form)) {
		throw failure.badValue('MAC address', text, 'six bytes in hexadecimal, such as 02:00:00:00:01:01');
	}

	return form;
}

function checkPort(port: number): void {
	if (!Number.isInteger(port) || port < 0 || port > 65_535) {
		throw failure.badValue('port', String(port), 'a number from 0 to 65535');
	}
}

/**
 * The match with its addresses in the form that frames are decoded to.
 *
 * @throws `bad-value`, `unknown-protocol`, and `usage` for what no frame can be
 */
export function checkMatch(match: FrameMatch): FrameMatch {
	const {family, protocol} = match;
	if (family !== undefined && !families.includes(family)) {
		throw failure.badValue('family', String(family), families.join(' or '));
	}

	if (protocol !== undefined && !matchedProtocols.includes(protocol)) {
		throw failure.unknownName('protocol', String(protocol), matchedProtocols);
	}

	const ports = [match.port, match.sourcePort, match.destinationPort].filter((port) => port !== undefined);
	for (const port of ports) {
		checkPort(port);
	}

	if (protocol !== undefined && ports.length > 0 && withoutPorts.has(protocol)) {
		throw failure.usage(`No frame matches: ${protocol} has no ports`, 'Ports are of tcp, udp and sctp.');
	}

	const own = protocol === 'icmp' ? 'ipv4' : protocol === 'icmpv6' ? 'ipv6' : undefined;
	if (family !== undefined && (protocol === 'arp' || (own !== undefined && own !== family))) {
		throw failure.usage(`No frame matches: ${protocol} is not of the family ${family}`, protocol === 'arp' ? 'Leave the family out.' : 'ICMP of IPv6 is icmpv6.');
	}

	return {
		...match,
		...(match.address !== undefined && {address: addressForm(match.address)}),
		...(match.source !== undefined && {source: addressForm(match.source)}),
		...(match.destination !== undefined && {destination: addressForm(match.destination)}),
		...(match.mac !== undefined && {mac: macForm(match.mac)}),
		...(match.sourceMac !== undefined && {sourceMac: macForm(match.sourceMac)}),
		...(match.destinationMac !== undefined && {destinationMac: macForm(match.destinationMac)}),
	};
}

/** The two sides of something, and what is wanted of them. */
function sidesMatch<Value>(source: Value | undefined, destination: Value | undefined, wanted: {either: Value | undefined; source: Value | undefined; destination: Value | undefined}): boolean {
	return (wanted.either === undefined || wanted.either === source || wanted.either === destination)
		&& (wanted.source === undefined || wanted.source === source)
		&& (wanted.destination === undefined || wanted.destination === destination);
}

/** Does what is in a frame match? The match is one that `checkMatch` gave. */
export function frameMatches(match: FrameMatch, {source, destination, etherType, packet, arp}: Frame): boolean {
	if (match.protocol === 'arp' ? etherType !== etherTypes.arp : match.protocol !== undefined && packet?.protocol !== protocolNumbers[match.protocol]) {
		return false;
	}

	return (match.family === undefined || packet?.family === match.family)
		&& sidesMatch(packet?.ports?.source, packet?.ports?.destination, {either: match.port, source: match.sourcePort, destination: match.destinationPort})
		&& sidesMatch(packet?.source ?? arp?.sender, packet?.destination ?? arp?.target, {either: match.address, source: match.source, destination: match.destination})
		&& sidesMatch(source, destination, {either: match.mac, source: match.sourceMac, destination: match.destinationMac});
}

/** Tests frames, each a piece of a buffer. Throws what `checkMatch` throws. */
export function frameMatcher(match: FrameMatch): (buffer: Buffer, start: number, end: number) => boolean {
	const checked = checkMatch(match);
	if (Object.values(checked).every((value) => value === undefined)) {
		return () => true;
	}

	return (buffer, start, end) => {
		const frame = decodeFrame(buffer, start, end);
		return frame !== undefined && frameMatches(checked, frame);
	};
}
