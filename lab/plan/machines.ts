/** Machines of the lab: names, addresses, links and the routes that every machine has. */
import {ofFamilies, addressAt, defaultNetworks, defaultRanges, isPair, macAddress, overlaps, parseSubnet, podSubnet, type Subnet} from './addresses.ts';
import {layOutNetworks, segmentsOf} from './networks.ts';
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

/** NICs on the fabric that a machine can have: QEMU's machine `pc` has 32 places for devices, and others need theirs. */
const mostNics = 20;

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
	const declaredFamilies = lab.families ?? ['ipv4'];
	const families = [...new Set(declaredFamilies)];
	if (families.length < declaredFamilies.length) {
		problems.push(`families: \`${declaredFamilies.join(', ')}\` names one family twice`);
	}

	const subnets = new Map<string, Array<[Family, Subnet]>>();
	const subnetsOf = (what: string, declared: PerFamily<string>, wanted: readonly Family[] = families): PerFamily<string> => {
		const parsed = ofFamilies(wanted, declared).flatMap(([family, cidr]) => {
			const subnet = collecting(problems, what, () => parseSubnet(cidr, family));
			return subnet === undefined ? [] : [[family, subnet] as [Family, Subnet]];
		});
		subnets.set(what, parsed);
		return Object.fromEntries(parsed.map(([family, {cidr}]) => [family, cidr]));
	};

	const networks = layOutNetworks(lab.networks ?? defaultNetworks, families, subnetsOf, problems);
	const ranges: Ranges = {
		pods: subnetsOf('pods', {...defaultRanges.pods, ...lab.pods}),
		services: subnetsOf('services', {...defaultRanges.services, ...lab.services}),
		external: subnetsOf('external', {...defaultRanges.external, ...lab.external}),
	};
	problems.push(...overlapProblems(subnets));

	const wanted: WantedMachine[] = [];
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
		const names = Array.from({length: declared.count}, (_, index) => `${role}-${index + 1}`);
		problems.push(...networkProblems(role, names, declared.networks, networks));
		wanted.push(...names.map((name, index): WantedMachine => ({
			name, role, index: index + 1, offset: base + index + 1, networks: networksOf(name, declared.networks).filter((network) => networks.some((known) => known.name === network)),
			cpus: declared.cpus, memory, disk, entropy,
		})));
	}

	const ends = endsOf(wanted, networks, problems);
	const machines = wanted.map(({name, role, index, offset, networks: own, cpus, memory, disk, entropy}): SizedMachine => {
		const links = linksOf({name, offset, networks: own}, networks, subnets, ends, problems);
		return {
			name, role, index, links,
			address: firstAddresses(links),
			pods: role === 'node' ? podsOf(index, subnets.get('pods')!, problems) : {},
			cpus, memory, disk,
			maintenanceMac: macAddress(0, offset),
			...(entropy.length < entropySources.length && {entropy}),
		};
	});
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

/** The networks of a machine, as its role declares them. */
function networksOf(machine: string, declared: NonNullable<MachinesDeclaration['networks']>): readonly string[] {
	return isList(declared) ? declared : declared[machine] ?? [];
}

/** `Array.isArray` does not know that a list may be read-only. */
function isList(declared: NonNullable<MachinesDeclaration['networks']>): declared is readonly string[] {
	return Array.isArray(declared);
}

function networkProblems(role: Role, machines: readonly string[], declared: NonNullable<MachinesDeclaration['networks']>, networks: readonly LabNetwork[]): string[] {
	const what = `machines.${role}.networks`;
	if (isList(declared)) {
		return listProblems(what, declared, networks);
	}

	const strangers = Object.keys(declared).filter((machine) => !machines.includes(machine));
	const silent = machines.filter((machine) => declared[machine] === undefined);
	return [
		...strangers.map((machine) => `${what}: there is no machine \`${machine}\`; known are ${machines.join(', ')}`),
		...(silent.length === 0 ? [] : [`${what}: it names networks by machine, and none of ${silent.join(', ')}`]),
		...Object.entries(declared).flatMap(([machine, names]) => listProblems(`${what}.${machine}`, names, networks)),
	];
}

function listProblems(what: string, names: readonly string[], networks: readonly LabNetwork[]): string[] {
	const known = networks.map(({name}) => name);
	const each = names.flatMap((name, index) => {
		if (names.indexOf(name) !== index) {
			return [`${what}: \`${name}\` is there twice`];
		}

		const meant = suggest(name, known);
		const trunk = names.find((other) => other !== name && segmentsOf(other, networks).includes(name));
		if (trunk !== undefined) {
			return [`${what}: \`${name}\` is a VLAN of \`${trunk}\`, which is there too: a machine would have its address in \`${name}\` twice`];
		}

		return known.includes(name) ? [] : [`${what}: there is no network \`${name}\`; ${meant === undefined ? `known are ${known.join(', ')}` : `did you mean \`${meant}\`?`}`];
	});
	return names.length > mostNics ? [...each, `${what}: a machine has room for at most ${mostNics} NICs, not ${names.length}`] : each;
}

/** A machine before it has links. */
interface WantedMachine extends Required<Pick<SizedMachine, 'name' | 'role' | 'index' | 'cpus' | 'memory' | 'disk' | 'entropy'>> {
	/** Its place in subnets. */
	readonly offset: number;
	/** Known ones only. */
	readonly networks: readonly string[];
}

/** Point-to-point link -> the two machines that it joins, by name. */
type Ends = ReadonlyMap<string, readonly string[]>;

function endsOf(machines: readonly WantedMachine[], networks: readonly LabNetwork[], problems: string[]): Ends {
	return new Map(networks.filter(({kind}) => kind === 'point-to-point').map(({name}) => {
		const ends = machines.filter((machine) => machine.networks.some((network) => segmentsOf(network, networks).includes(name))).map((machine) => machine.name);
		if (ends.length !== 2) {
			problems.push(`network ${name}: a point-to-point link joins exactly two machines, not ${ends.length === 0 ? 'none' : `${ends.length} (${ends.join(', ')})`}`);
		}

		return [name, ends];
	}));
}

function linksOf(
	machine: Pick<WantedMachine, 'name' | 'offset' | 'networks'>,
	networks: readonly LabNetwork[],
	subnets: ReadonlyMap<string, ReadonlyArray<[Family, Subnet]>>,
	ends: Ends,
	problems: string[],
): MachineLink[] {
	const addressesIn = (network: string): LinkAddress[] => (subnets.get(`network ${network}`) ?? []).flatMap(([family, subnet]): LinkAddress[] => {
		const end = ends.get(network)?.indexOf(machine.name);
		// The first end of a pair has the first address of both, where the subnet has no more.
		const offset = end === undefined ? machine.offset : isPair(subnet) ? end : end + 1;
		const address = addressAt(subnet, offset);
		if (address === undefined && (end === undefined || end < 2)) {
			problems.push(`network ${network}: ${subnet.cidr} is too small: ${machine.name} is number ${offset} in it`);
		}

		return address === undefined ? [] : [{family, address, prefix: subnet.prefix}];
	});
	return machine.networks.flatMap((name, index) => {
		const number = networks.findIndex((network) => network.name === name);
		const {mtu, vlans = {}} = networks[number]!;
		const nic: MachineLink = {network: name, device: `eth${index + 1}`, mac: macAddress(number + 1, machine.offset), mtu, addresses: addressesIn(name)};
		return [nic, ...Object.entries(vlans).flatMap(([network, id]): MachineLink[] => {
			const known = networks.find((each) => each.name === network);
			return known === undefined ? [] : [{...nic, network, device: `${nic.device}.${id}`, mtu: known.mtu, addresses: addressesIn(network), vlan: {id, device: nic.device}}];
		})];
	});
}

function firstAddresses(links: readonly MachineLink[]): PerFamily<string> {
	const first = links.find(({addresses}) => addresses.length > 0);
	return Object.fromEntries((first?.addresses ?? []).map(({family, address}) => [family, address]));
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
 * The default routes of a machine: through router-1, by its address on the first network that both are on, in each family that this network has; where router-1
 * is on none of its networks, through the first router that is on one. A router has none.
 */
export function defaultRoutes(machine: LabMachine, machines: readonly LabMachine[]): Route[] {
	if (machine.role === 'router') {
		return [];
	}

	const shared = machines.filter(({role}) => role === 'router')
		.flatMap((router) => machine.links.flatMap(({network}) => router.links.find((link) => link.network === network && link.addresses.length > 0) ?? []));
	return (shared[0]?.addresses ?? []).map(({family, address}) => ({family, to: 'default', via: [address]}));
}
