/** Machines of the lab: names, addresses, links and the routes that every machine has. */
import {ofFamilies, addressAt, defaultNetworks, defaultRanges, macAddress, overlaps, parseSubnet, podSubnet, type Subnet} from './addresses.ts';
import {LabError} from '../host/error.ts';
import {type EntropySource, entropySources} from '../spec/entropy.ts';
import type {Family, PerFamily} from '../spec/family.ts';
import type {LabDeclaration, MachinesDeclaration} from '../spec/lab.ts';
import type {LabMachine, LabNetwork, LinkAddress, MachineLink, Role, Route} from '../spec/topology.ts';
import {bytes} from '../spec/units.ts';
import {suggest} from '../host/suggestion.ts';

/** A machine with its size, before overlays have had their say. */
export interface SizedMachine extends LabMachine {
	readonly cpus: number;
	/** Bytes. */
	readonly memory: number;
	/** Bytes. */
	readonly disk: number;
	readonly maintenanceMac: string;
	/** In the order of `entropySources`; not there where the machine has them all. */
	readonly entropy?: readonly EntropySource[];
}

/** The ranges that are not on a link, per family. */
export type Ranges = Readonly<Record<'pods' | 'services' | 'external', PerFamily<string>>>;

/** What a lab's declaration comes to, apart from overlays, with every problem as a sentence. */
export interface LabLayout {
	readonly families: readonly Family[];
	readonly networks: readonly LabNetwork[];
	readonly ranges: Ranges;
	readonly machines: readonly SizedMachine[];
	readonly problems: readonly string[];
}

/** Where the addresses of a role begin within a subnet, and how many there may be. Other roles share the rest, from 231 on. */
const places: Readonly<Record<string, {base: number; most: number}>> = {
	node: {base: 0, most: 200},
	router: {base: 200, most: 20},
	tester: {base: 220, most: 10},
};
const otherRoles = {base: 230, most: 20};

const smallestMemory = 128 * 1024 ** 2;
const smallestDisk = 64 * 1024 ** 2;

/** Node, router, tester, then the others by name. */
function inOrder(roles: readonly Role[]): Role[] {
	const known = Object.keys(places);
	const rank = (role: Role): number => (known.includes(role) ? known.indexOf(role) : known.length);
	return [...roles].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

function defaultsOf(role: Role): Required<Omit<MachinesDeclaration, 'entropy'>> {
	return {
		count: 0, cpus: 1, disk: '4GiB',
		memory: role === 'node' ? '2GiB' : '512MiB',
		networks: role === 'node' ? ['cluster'] : role === 'router' ? ['cluster', 'external'] : ['external'],
	};
}

/** Runs `read`, and keeps the message of a declaration error as a problem. */
function collecting<Value>(problems: string[], what: string, read: () => Value): Value | undefined {
	try {
		return read();
	} catch (error) {
		if (error instanceof LabError && error.kind === 'declaration') {
			problems.push(`${what}: ${error.message}. ${error.hint ?? ''}`.trim());
			return undefined;
		}

		throw error;
	}
}

/** A lab's families, networks, ranges and machines. Problems are collected, not thrown. */
export function layOut(lab: LabDeclaration): LabLayout {
	const problems: string[] = [];
	const onceEach = (what: string, declared: readonly Family[]): readonly Family[] => {
		const families = [...new Set(declared)];
		if (families.length < declared.length) {
			problems.push(`${what}: \`${declared.join(', ')}\` names one family twice`);
		}

		return families;
	};

	const families = onceEach('families', lab.families ?? ['ipv4']);
	const subnets = new Map<string, Array<[Family, Subnet]>>();
	const subnetsOf = (what: string, declared: PerFamily<string>, wanted = families): PerFamily<string> => {
		const parsed = ofFamilies(wanted, declared).flatMap(([family, cidr]) => {
			const subnet = collecting(problems, what, () => parseSubnet(cidr, family));
			return subnet === undefined ? [] : [[family, subnet] as [Family, Subnet]];
		});
		subnets.set(what, parsed);
		return Object.fromEntries(parsed.map(([family, {cidr}]) => [family, cidr]));
	};

	const networks = Object.entries(lab.networks ?? defaultNetworks).map(([name, {subnets: declared, families: own, mtu}]): LabNetwork => {
		const wanted = own === undefined ? families : onceEach(`network ${name}: families`, own);
		const carried = wanted.filter((family) => declared[family] !== undefined);
		if (own === undefined && carried.length === 0) {
			problems.push(`network ${name}: it has no subnet of the lab's families (${families.join(', ')})`);
		} else if (own !== undefined && carried.length < wanted.length) {
			problems.push(`network ${name}: it has no subnet of ${wanted.filter((family) => !carried.includes(family)).join(', ')}, which its \`families\` name`);
		}

		return {name, families: carried, subnets: subnetsOf(`network ${name}`, declared, wanted), mtu: mtu ?? 1500};
	});
	const ranges: Ranges = {
		pods: subnetsOf('pods', {...defaultRanges.pods, ...lab.pods}),
		services: subnetsOf('services', {...defaultRanges.services, ...lab.services}),
		external: subnetsOf('external', {...defaultRanges.external, ...lab.external}),
	};
	problems.push(...overlapProblems(subnets));

	const machines: SizedMachine[] = [];
	let otherCount = 0;
	for (const role of inOrder(Object.keys(lab.machines))) {
		const declared: MachinesDeclaration & ReturnType<typeof defaultsOf> = {...defaultsOf(role), ...lab.machines[role]};
		if (!/^[a-z][a-z0-9-]*$/.test(role)) {
			problems.push(`machines: \`${role}\` cannot be part of a host name: use small letters, digits and dashes`);
			continue;
		}

		const {base, most} = places[role] ?? {base: otherRoles.base + otherCount, most: otherRoles.most - otherCount};
		otherCount += places[role] === undefined ? declared.count : 0;
		if (declared.count > most) {
			problems.push(`machines.${role}: a lab has addresses for at most ${most} of them, not ${declared.count}`);
			continue;
		}

		const memory = collecting(problems, `machines.${role}.memory`, () => bytes(declared.memory)) ?? 0;
		const disk = collecting(problems, `machines.${role}.disk`, () => bytes(declared.disk)) ?? 0;
		if (memory < smallestMemory) {
			problems.push(`machines.${role}.memory: ${declared.memory} is too little: at least 128MiB`);
		} else if (memory % (2 * 1024 ** 2) !== 0) {
			problems.push(`machines.${role}.memory: ${declared.memory} is not a multiple of 2MiB`);
		}

		if (disk < smallestDisk) {
			problems.push(`machines.${role}.disk: ${declared.disk} is too little: at least 64MiB`);
		}

		const entropy = entropySources.filter((source) => declared.entropy?.includes(source) ?? true);
		problems.push(...networkProblems(role, declared.networks, networks));
		for (let index = 1; index <= declared.count; index++) {
			const links = linksOf(`${role}-${index}`, base + index, declared.networks, networks, subnets, problems);
			machines.push({
				name: `${role}-${index}`, role, index, links,
				address: firstAddresses(links),
				pods: role === 'node' ? podsOf(index, subnets.get('pods')!, problems) : {},
				cpus: declared.cpus, memory, disk,
				maintenanceMac: macAddress(0, base + index),
				...(entropy.length < entropySources.length && {entropy}),
			});
		}
	}

	if (machines.length === 0) {
		problems.push('machines: the lab has none');
	}

	return {families, networks, ranges, machines, problems};
}

function overlapProblems(subnets: ReadonlyMap<string, ReadonlyArray<[Family, Subnet]>>): string[] {
	const all = [...subnets].flatMap(([what, ranges]) => ranges.map(([family, subnet]) => ({what, family, subnet})));
	return all.flatMap((one, index) => all.slice(index + 1)
		.filter((other) => other.family === one.family && overlaps(one.subnet, other.subnet))
		.map((other) => `${one.what} (${one.subnet.cidr}) and ${other.what} (${other.subnet.cidr}) have addresses in common`));
}

function networkProblems(role: Role, names: readonly string[], networks: readonly LabNetwork[]): string[] {
	const known = networks.map(({name}) => name);
	return names.flatMap((name, index) => {
		if (names.indexOf(name) !== index) {
			return [`machines.${role}.networks: \`${name}\` is there twice`];
		}

		const meant = suggest(name, known);
		return known.includes(name) ? [] : [`machines.${role}.networks: there is no network \`${name}\`; ${meant === undefined ? `known are ${known.join(', ')}` : `did you mean \`${meant}\`?`}`];
	});
}

function linksOf(
	machine: string,
	offset: number,
	names: readonly string[],
	networks: readonly LabNetwork[],
	subnets: ReadonlyMap<string, ReadonlyArray<[Family, Subnet]>>,
	problems: string[],
): MachineLink[] {
	return names.filter((name) => networks.some((network) => network.name === name)).map((name, index) => {
		const number = networks.findIndex((network) => network.name === name);
		const addresses = subnets.get(`network ${name}`)!.flatMap(([family, subnet]): LinkAddress[] => {
			const address = addressAt(subnet, offset);
			if (address === undefined) {
				problems.push(`network ${name}: ${subnet.cidr} is too small: ${machine} is number ${offset} in it`);
				return [];
			}

			return [{family, address, prefix: subnet.prefix}];
		});
		return {network: name, device: `eth${index + 1}`, mac: macAddress(number + 1, offset), mtu: networks[number]!.mtu, addresses};
	});
}

function firstAddresses(links: readonly MachineLink[]): PerFamily<string> {
	return Object.fromEntries((links[0]?.addresses ?? []).map(({family, address}) => [family, address]));
}

function podsOf(index: number, pods: ReadonlyArray<[Family, Subnet]>, problems: string[]): PerFamily<string> {
	return Object.fromEntries(pods.flatMap(([family, range]) => {
		const subnet = podSubnet(range, index);
		if (subnet === undefined) {
			problems.push(`pods: ${range.cidr} has no subnet for node-${index}`);
			return [];
		}

		return [[family, subnet]];
	}));
}

/**
 * The default routes of a machine: through router-1, by its address on the first network that both are on, in each
 * family that this network has. A router has none.
 */
export function defaultRoutes(machine: LabMachine, machines: readonly LabMachine[]): Route[] {
	const router = machines.find(({name}) => name === 'router-1');
	if (router === undefined || machine.role === 'router') {
		return [];
	}

	const shared = machine.links.map(({network}) => router.links.find((link) => link.network === network)).find((link) => link !== undefined);
	return (shared?.addresses ?? []).map(({family, address}) => ({family, to: 'default', via: [address]}));
}
