/** Addresses of the lab: subnets, machines, pods. All arithmetic is ip-address's. */
import {Address4, Address6} from 'ip-address';
import {failure} from '../host/failure.ts';
import {families, type Family, type PerFamily} from '../spec/family.ts';
import type {NetworkDeclaration} from '../spec/lab.ts';

/** A checked CIDR in canonical form, its host bits all zero. */
export interface Subnet {
	readonly family: Family;
	/** '192.168.1.0/24' */
	readonly cidr: string;
	/** Bits. */
	readonly prefix: number;
}

/** The networks of a lab that declares none (see the design). */
export const defaultNetworks: Readonly<Record<string, NetworkDeclaration>> = {
	cluster: {subnets: {ipv4: '192.168.1.0/24', ipv6: '1000::1:c0a8:100/120'}},
	external: {subnets: {ipv4: '192.168.2.0/24', ipv6: '1000::1:c0a8:200/120'}},
};

/** What pods, Services and external service addresses are taken from, where a lab does not say. */
export const defaultRanges: Readonly<Record<'pods' | 'services' | 'external', Required<PerFamily<string>>>> = {
	pods: {ipv4: '11.0.0.0/16', ipv6: '1100::/48'},
	services: {ipv4: '12.0.0.0/16', ipv6: 'fd00:4000::/112'},
	external: {ipv4: '10.0.0.0/24', ipv6: '1000::/120'},
};

/** What point-to-point links are taken from that do not say: two addresses for each. */
const pointToPointPool: Readonly<Record<Family, string>> = {ipv4: '192.168.255.0/24', ipv6: '1000::1:c0a8:ff00/120'};

/** Bits of a node's share of the pod addresses. */
const podPrefix: Readonly<Record<Family, number>> = {ipv4: 24, ipv6: 64};

const familyNames: Readonly<Record<Family, string>> = {ipv4: 'IPv4', ipv6: 'IPv6'};
const bits: Readonly<Record<Family, number>> = {ipv4: 32, ipv6: 128};

function parse(text: string): {family: Family; address: Address4 | Address6} | undefined {
	if (Address4.isValid(text)) {
		return {family: 'ipv4', address: new Address4(text)};
	}

	return Address6.isValid(text) ? {family: 'ipv6', address: new Address6(text)} : undefined;
}

/**
 * Parses a CIDR of a family.
 *
 * @throws `bad-value` when it is none, is of the other family, or has host bits
 */
export function parseSubnet(text: string, family: Family): Subnet {
	const wanted = `an ${familyNames[family]} subnet such as ${defaultRanges.services[family]}`;
	const parsed = text.includes('/') ? parse(text) : undefined;
	if (parsed?.family !== family) {
		throw failure.badValue(`subnet of ${familyNames[family]}`, text, parsed === undefined ? wanted : `${wanted}: this one is ${familyNames[parsed.family]}`);
	}

	const {address} = parsed;
	const cidr = `${address.startAddress().correctForm()}/${address.subnetMask}`;
	if (address.correctForm() !== address.startAddress().correctForm()) {
		throw failure.badValue(`subnet of ${familyNames[family]}`, text, `the subnet's first address: ${cidr}`);
	}

	return {family, cidr, prefix: address.subnetMask};
}

/** Is it an address of that family, without a prefix? */
export function isAddress(text: string, family: Family): boolean {
	return !text.includes('/') && parse(text)?.family === family;
}

function start(subnet: Subnet): bigint {
	return parse(subnet.cidr)!.address.startAddress().bigInt();
}

function addressFrom(family: Family, value: bigint): string {
	return family === 'ipv4' ? Address4.fromBigInt(value).correctForm() : Address6.fromBigInt(value).correctForm();
}

/** Has a subnet two addresses, for the two ends of a link (IPv4: RFC 3021; IPv6: RFC 6164)? */
export function isPair({family, prefix}: Subnet): boolean {
	return bits[family] - prefix === 1;
}

/** The subnets of the point-to-point link with that number (from 0) among those that do not say; undefined where there are not so many. */
export function pointToPointSubnets(index: number): PerFamily<string> | undefined {
	const pairs = families.flatMap((family) => {
		const address = addressAt(parseSubnet(pointToPointPool[family], family), 2 * index);
		return address === undefined ? [] : [[family, `${address}/${bits[family] - 1}`] as const];
	});
	return index < 0 || pairs.length < families.length ? undefined : Object.fromEntries(pairs);
}

/** The address at an offset in a subnet, or undefined where the subnet ends before it (IPv4: its last one is for broadcast, but in a pair). */
export function addressAt(subnet: Subnet, offset: number): string | undefined {
	const size = 1n << BigInt(bits[subnet.family] - subnet.prefix);
	const last = subnet.family === 'ipv4' && !isPair(subnet) ? size - 2n : size - 1n;
	return BigInt(offset) > last ? undefined : addressFrom(subnet.family, start(subnet) + BigInt(offset));
}

/** A node's own pod subnet: a /24, or a /64, by the node's index, which counts from 1. Undefined where there are not so many. */
export function podSubnet(pods: Subnet, index: number): string | undefined {
	const prefix = podPrefix[pods.family];
	const count = prefix < pods.prefix ? 0n : 1n << BigInt(prefix - pods.prefix);
	return BigInt(index) < count ? `${addressFrom(pods.family, start(pods) + (BigInt(index) << BigInt(bits[pods.family] - prefix)))}/${prefix}` : undefined;
}

/** Do two subnets of one family have addresses in common? */
export function overlaps(a: Subnet, b: Subnet): boolean {
	const [first, second] = [parse(a.cidr)!.address, parse(b.cidr)!.address];
	return first.isInSubnet(second as never) || second.isInSubnet(first as never);
}

/** The families of a lab, of those that a value has, in the lab's order. */
export function ofFamilies<Value>(wanted: readonly Family[], values: PerFamily<Value>): Array<[Family, Value]> {
	return wanted.filter((family) => families.includes(family)).flatMap((family) => {
		const value = values[family];
		return value === undefined ? [] : [[family, value] as [Family, Value]];
	});
}

/** A link-layer address, locally administered (IEEE 802, second bit of the first octet), by network and offset in it. */
export function macAddress(network: number, offset: number): string {
	const octet = (value: number): string => value.toString(16).padStart(2, '0');
	return `02:00:00:${octet(network)}:${octet(offset >> 8)}:${octet(offset & 0xff)}`;
}
