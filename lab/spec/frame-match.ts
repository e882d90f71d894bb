/** Which frames are meant, as users declare it: for what is wrong with a link, for captures and for flows. The meaning is that of pcap-filter(7) and tc-flower(8). */
import {isIP} from 'node:net';
import {Address4, Address6} from 'ip-address';
import {failure} from '../host/failure.ts';
import {type Family, families} from './family.ts';

/** A protocol within a frame; a neighbour solicitation is `icmpv6`. */
export type FrameProtocol = 'arp' | 'icmp' | 'icmpv6' | 'tcp' | 'udp' | 'sctp';

/** All protocols that can be matched. */
export const frameProtocols: readonly FrameProtocol[] = ['arp', 'icmp', 'icmpv6', 'tcp', 'udp', 'sctp'];

/**
 * Frames that are meant: those of which all that is given is true; of an empty one all are. Tags of VLANs (802.1Q, 802.1ad) and extension headers of IPv6 are
 * looked behind. All fragments of a packet have its protocol and its addresses; the first one alone has its ports.
 */
export interface FrameMatch {
	/** By the frame's EtherType. ARP is of none: it is a `protocol`. */
	readonly family?: Family;
	readonly protocol?: FrameProtocol;
	/** Of TCP, UDP or SCTP, on either side. */
	readonly port?: number;
	readonly sourcePort?: number;
	readonly destinationPort?: number;
	/** An address of either side, of IP or in an ARP message. */
	readonly address?: string;
	/** Of an ARP message: who sends it, and whom it is about. */
	readonly source?: string;
	readonly destination?: string;
	/** '02:00:00:00:01:01', on either side. */
	readonly mac?: string;
	readonly sourceMac?: string;
	readonly destinationMac?: string;
	/** The number in a frame's outermost tag (IEEE 802.1Q), 1 to 4094: on links to a trunk, where frames have one. */
	readonly vlan?: number;
}

/** All that a match can say, in the order in which it is told. */
export const matchKeys = [
	'family', 'protocol', 'port', 'sourcePort', 'destinationPort', 'address', 'source', 'destination', 'mac', 'sourceMac', 'destinationMac', 'vlan',
] as const satisfies ReadonlyArray<keyof FrameMatch>;

const portKeys = ['port', 'sourcePort', 'destinationPort'] as const;
const addressKeys = ['address', 'source', 'destination'] as const;
const macKeys = ['mac', 'sourceMac', 'destinationMac'] as const;

/** The family of a protocol that is of one alone; transports are of both. */
const ownFamilies: Readonly<Partial<Record<FrameProtocol, Family>>> = {icmp: 'ipv4', icmpv6: 'ipv6'};
const withoutPorts: ReadonlySet<string> = new Set<FrameProtocol>(['icmp', 'icmpv6', 'arp']);

/** An address in the form that ip(8) prints. Throws `bad-value` when it is none; a subnet is none. */
function addressForm(text: string): string {
	try {
		if (isIP(text) === 0) {
			throw new Error('no address');
		}

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

function portForm(port: number): number {
	if (!Number.isInteger(port) || port < 0 || port > 65_535) {
		throw failure.badValue('port', String(port), 'a number from 0 to 65535');
	}

	return port;
}

/** IEEE 802.1Q, table 9-2: 0 is no VLAN, and 4095 is reserved. */
export const vlanRange = {least: 1, most: 4094} as const;

function vlanForm(vlan: number): number {
	if (!Number.isInteger(vlan) || vlan < vlanRange.least || vlan > vlanRange.most) {
		throw failure.badValue('VLAN', String(vlan), `a number from ${vlanRange.least} to ${vlanRange.most}`);
	}

	return vlan;
}

/** What contradicts itself in a match, so that no frame is meant: where that is, and why. Undefined where nothing does. */
export function contradiction(match: FrameMatch): {readonly key: keyof FrameMatch; readonly why: string; readonly suggestion: string} | undefined {
	const {family, protocol} = match;
	const own = protocol === undefined ? undefined : ownFamilies[protocol];
	if (family !== undefined && (protocol === 'arp' || (own !== undefined && own !== family))) {
		return {key: 'protocol', why: `${protocol} is not of the family ${family}`, suggestion: protocol === 'arp' ? 'Leave the family out.' : 'ICMP of IPv6 is icmpv6.'};
	}

	const wanted = protocol === 'arp' ? 'ipv4' : own ?? family;
	let [before, first]: [keyof FrameMatch | undefined, Family | undefined] = [protocol === 'arp' || own !== undefined ? 'protocol' : family === undefined ? undefined : 'family', wanted];
	for (const key of addressKeys) {
		const address = match[key];
		const ofAddress: Family | undefined = address === undefined ? undefined : address.includes(':') ? 'ipv6' : 'ipv4';
		if (ofAddress !== undefined && first !== undefined && ofAddress !== first) {
			return {key, why: `${address} is of ${ofAddress}, and the ${before} ${String(match[before!])} is not`, suggestion: 'A frame has addresses of one family.'};
		}

		if (ofAddress !== undefined && first === undefined) {
			[before, first] = [key, ofAddress];
		}
	}

	const ported = portKeys.find((key) => match[key] !== undefined);
	return protocol !== undefined && ported !== undefined && withoutPorts.has(protocol)
		? {key: ported, why: `${protocol} has no ports`, suggestion: 'Ports are of tcp, udp and sctp.'} : undefined;
}

/**
 * The match in the form in which another one like it is, too: addresses as ip(8) prints them, in one order, without what is undefined.
 *
 * @throws `bad-value`, `unknown-protocol`, and `usage` for what no frame can be
 */
export function checkMatch(match: FrameMatch): FrameMatch {
	const {family, protocol} = match;
	if (family !== undefined && !families.includes(family)) {
		throw failure.badValue('family', String(family), families.join(' or '));
	}

	if (protocol !== undefined && !frameProtocols.includes(protocol)) {
		throw failure.unknownName('protocol', String(protocol), frameProtocols);
	}

	const form = (key: keyof FrameMatch): unknown => {
		const value = match[key];
		return (portKeys as readonly string[]).includes(key) ? portForm(value as number)
			: (addressKeys as readonly string[]).includes(key) ? addressForm(value as string)
				: (macKeys as readonly string[]).includes(key) ? macForm(value as string)
					: key === 'vlan' ? vlanForm(value as number) : value;
	};

	const checked = Object.fromEntries(matchKeys.flatMap((key) => (match[key] === undefined ? [] : [[key, form(key)]]))) as FrameMatch;
	const wrong = contradiction(checked);
	if (wrong !== undefined) {
		throw failure.usage(`No frame matches: ${wrong.why}`, wrong.suggestion);
	}

	return checked;
}

/** A match in words: 'ipv6 tcp source port 80'. */
export function showMatch(match: FrameMatch): string {
	return matchKeys.flatMap((key) => {
		const value = match[key];
		return value === undefined ? [] : key === 'family' || key === 'protocol' ? [value] : [`${key.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)} ${value}`];
	}).join(' ');
}
