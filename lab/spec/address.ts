/** Addresses and subnets: the little arithmetic that declarations need. */
import {Address4, Address6} from 'ip-address';
import {failure} from '../host/failure.ts';
import type {Family} from './family.ts';

function parse(text: string): Address4 | Address6 {
	try {
		return text.includes(':') ? new Address6(text) : new Address4(text);
	} catch {
		throw failure.badValue('address', text, 'an IPv4 or IPv6 address or subnet, such as 192.168.1.0/24 or 1000::/120');
	}
}

/** The family of an address or a CIDR. Throws a declaration error when it is neither. */
export function familyOf(address: string): Family {
	return parse(address) instanceof Address6 ? 'ipv6' : 'ipv4';
}

/** The address at a place in a subnet, 0 being the subnet's own: ('12.0.0.0/16', 10) gives '12.0.0.10'. Throws a declaration error when it is outside. */
export function addressAt(subnet: string, index: number): string {
	const parsed = parse(subnet);
	const value = parsed.startAddress().bigInt() + BigInt(index);
	if (index < 0 || value > parsed.endAddress().bigInt()) {
		throw failure.badValue('place in a subnet', String(index), `a number that ${subnet} has an address for`);
	}

	return parsed instanceof Address6 ? Address6.fromBigInt(value).correctForm() : Address4.fromBigInt(value).correctForm();
}

/** How many addresses a subnet has. */
export function subnetSize(subnet: string): bigint {
	const parsed = parse(subnet);
	return parsed.endAddress().bigInt() - parsed.startAddress().bigInt() + 1n;
}

/** An IPv4 address within an IPv6 prefix of 96 bits, whose last 32 bits it is (RFC 6052, 2.2). Throws a declaration error where they are none. */
export function withinPrefix(prefix: string, address: string): string {
	const parsed = parse(address);
	if (parsed instanceof Address6 || parse(prefix).subnetMask !== 96) {
		throw failure.badValue('IPv4 address and the prefix for it', `${address} in ${prefix}`, 'such as 192.0.2.1 in fd00:64::/96');
	}

	return addressAt(prefix, Number(parsed.bigInt()));
}

/** The address as a URL or an address with a port has it: IPv6 in brackets (RFC 3986, 3.2.2). */
export function urlHost(address: string): string {
	return address.includes(':') ? `[${address}]` : address;
}
