/** Packets that are too big for a link behind the router: the router tells, and who sent them sends smaller ones. */
import {claim, urlHost, type MachineHandle} from 'vmlab';
import type {Caller} from './caller.ts';
import {told} from './lookup.ts';

/** Bytes of a request that fills several packets of any size. */
const large = 15_000;
/** Seconds: a sender repeats what was lost after 1, 2, 4 ... of them. */
const patience = 15;

/** An IPv4 header has 20 bytes, one of IPv6 40: so many more has a packet before it is translated. */
export const headerDifference = 20;

/**
 * Runs `use` while a machine invites others to send it packets of 1500 bytes, as one does that is on such a link behind a narrower one. Else the MTU of
 * its own link, which it tells with each TCP connection, would spare everybody the search for the path's.
 */
export async function withWideInvitation<Value>(server: MachineHandle, subnet: string, use: () => Promise<Value>): Promise<Value> {
	const [link] = server.machine.links;
	claim(link !== undefined, `${server.name} has no link`);
	const route = [subnet, 'dev', link.device, 'proto', 'kernel', 'scope', 'link', 'src', link.addresses[0]?.address ?? ''];
	await server.$`ip route change ${route} advmss 1460`;
	try {
		return await use();
	} finally {
		await server.$`ip route change ${route}`;
	}
}

/** Runs `use` while the router tells nobody that a packet was too big, neither its own words nor translated ones. */
export async function withoutPacketTooBig<Value>(router: MachineHandle, use: () => Promise<Value>): Promise<Value> {
	await router.$`nft ${'table ip6 no-packet-too-big { chain postrouting { type filter hook postrouting priority filter; icmpv6 type packet-too-big counter drop; }; }'}`;
	try {
		return await use();
	} finally {
		await router.$`nft delete table ip6 no-packet-too-big`;
	}
}

/** Makes a caller forget what it knows of paths. */
export async function forgetPaths(caller: Caller): Promise<void> {
	const result = await caller.run('ip', '-6', 'route', 'flush', 'cache');
	claim(result.exitCode === 0, `${caller.title} does not forget paths: ${told(result)}`);
}

/** The MTU that a caller knows of its path to an address; undefined where it knows none but its link's. */
export async function pathMtu(caller: Caller, address: string): Promise<number | undefined> {
	const {stdout} = await caller.run('ip', '-6', 'route', 'get', address);
	const [, found] = /\bexpires \d+sec mtu (\d+)/.exec(stdout) ?? [];
	return found === undefined ? undefined : Number(found);
}

/** A problem where a large request, in packets as large as the caller takes the path to be, does not come back whole. */
export async function largeRequestFails(caller: Caller, address: string, port: number): Promise<string | undefined> {
	const result = await caller.run('bash', '-c', `curl -sS --fail --globoff --max-time ${patience} "http://${urlHost(address)}:${port}/echo?msg=$(printf '%${large}s' | tr ' ' x)" | wc -c`);
	return result.stdout.trim() === String(large) ? undefined : `a request of ${large} bytes is not answered whole: ${told(result)}`;
}
