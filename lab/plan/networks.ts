/** Networks of the lab: switches, wires between two machines, trunks and their VLANs. */
import {suggest} from '../host/suggestion.ts';
import {type Family, families as allFamilies, type PerFamily} from '../spec/family.ts';
import type {NetworkDeclaration} from '../spec/lab.ts';
import type {LabMachine, LabNetwork, MachineLink} from '../spec/topology.ts';
import {pointToPointSubnets} from './addresses.ts';

/** The longest packet of a network that does not say, in bytes (RFC 894, RFC 2464). */
export const defaultMtu = 1500;
/** RFC 8200, 5: bytes that every link with IPv6 must carry. */
const leastMtuOfIpv6 = 1280;
/** Networks have a byte of the link addresses of NICs, and 0 is the maintenance network's. */
const mostNetworks = 254;

/** How the subnets of something are checked and kept: problems are told of `what`. */
export type SubnetReader = (what: string, declared: PerFamily<string>, wanted: readonly Family[]) => PerFamily<string>;

/** The NICs of a machine, in order: its links without the VLANs of a NIC. Their places are those of its cards in QEMU. */
export function nicsOf({links}: Pick<LabMachine, 'links'>): MachineLink[] {
	return links.filter(({vlan}) => vlan === undefined);
}

/** Network -> the trunk that it is a VLAN of, and its number there. */
export function vlanPlaces(networks: ReadonlyArray<Pick<LabNetwork, 'name' | 'vlans'>>): Map<string, {readonly trunk: string; readonly id: number}> {
	return new Map(networks.flatMap(({name: trunk, vlans = {}}) => Object.entries(vlans).map(([network, id]) => [network, {trunk, id}] as const)));
}

/** What a machine on a network is in: the network itself, and of a trunk its VLANs too. */
export function segmentsOf(network: string, networks: readonly LabNetwork[]): string[] {
	return [network, ...Object.keys(networks.find(({name}) => name === network)?.vlans ?? {})];
}

/** The networks of a lab in which each is declared. Problems are collected, not thrown. */
export function layOutNetworks(declared: Readonly<Record<string, NetworkDeclaration>>, lab: readonly Family[], readSubnets: SubnetReader, problems: string[]): LabNetwork[] {
	const entries = Object.entries(declared);
	const wires = entries.filter(([, {kind, subnets}]) => kind === 'point-to-point' && subnets === undefined).map(([name]) => name);
	const tell = (name: string, problem: string): void => {
		problems.push(`network ${name}: ${problem}`);
	};

	if (entries.length > mostNetworks) {
		problems.push(`networks: a lab has at most ${mostNetworks} of them, not ${entries.length}`);
	}

	for (const name of Object.keys(declared).filter((each) => !/^\w[\w.-]*$/.test(each))) {
		problems.push(`networks: \`${name}\` cannot be part of a link's name: use letters, digits, dashes, dots and underscores`);
	}

	problems.push(...vlanProblems(declared));
	const segments = entries.map(([name, {subnets: own, families, mtu = defaultMtu, kind, vlans}]): LabNetwork => {
		if (vlans !== undefined) {
			return {name, families: [], subnets: {}, mtu, vlans};
		}

		const subnets = own ?? pointToPointSubnets(wires.indexOf(name)) ?? {};
		const wanted = [...new Set(families ?? lab)];
		if (families !== undefined && wanted.length < families.length) {
			tell(name, `families: \`${families.join(', ')}\` names one family twice`);
		}

		const carried = wanted.filter((family) => subnets[family] !== undefined);
		if (own === undefined && carried.length === 0) {
			tell(name, 'there are no more subnets for point-to-point links: give it `subnets`');
		} else if (families === undefined && carried.length === 0) {
			tell(name, `it has no subnet of the lab's families (${lab.join(', ')})`);
		} else if (families !== undefined && carried.length < wanted.length) {
			tell(name, `it has no subnet of ${wanted.filter((family) => !carried.includes(family)).join(', ')}, which its \`families\` name`);
		}

		if (carried.includes('ipv6') && mtu < leastMtuOfIpv6) {
			tell(name, `its mtu is ${mtu}, and IPv6 needs at least ${leastMtuOfIpv6} (RFC 8200, 5)`);
		}

		return {name, families: carried, subnets: readSubnets(`network ${name}`, subnets, wanted), mtu, ...(kind === 'point-to-point' && {kind})};
	});
	return segments.map((network) => (network.vlans === undefined ? network : trunkOf(network, segments, declared[network.name]?.mtu, problems)));
}

/** A trunk has what its VLANs have. */
function trunkOf(trunk: LabNetwork, networks: readonly LabNetwork[], mtu: number | undefined, problems: string[]): LabNetwork {
	const own = Object.keys(trunk.vlans ?? {}).flatMap((vlan) => networks.find(({name}) => name === vlan) ?? []);
	const carried = own.flatMap(({families}) => families);
	for (const {name, mtu: needed} of own) {
		if (mtu !== undefined && needed > mtu) {
			problems.push(`network ${trunk.name}: its mtu is ${mtu}, and its VLAN \`${name}\` has ${needed}`);
		}
	}

	return {
		...trunk, mtu: mtu ?? Math.max(...own.map((network) => network.mtu), 0),
		// The first of the first VLAN is preferred, as everywhere.
		families: allFamilies.filter((family) => carried.includes(family)).sort((a, b) => carried.indexOf(a) - carried.indexOf(b)),
	};
}

function vlanProblems(declared: Readonly<Record<string, NetworkDeclaration>>): string[] {
	const known = Object.entries(declared).filter(([, {vlans}]) => vlans === undefined).map(([name]) => name);
	const trunkOfVlan = new Map<string, string>();
	return Object.entries(declared).flatMap(([trunk, {vlans = {}}]) => {
		const networkOfId = new Map<number, string>();
		return Object.entries(vlans).flatMap(([network, id]): string[] => {
			const [sameId, otherTrunk] = [networkOfId.get(id), trunkOfVlan.get(network)];
			networkOfId.set(id, network);
			trunkOfVlan.set(network, trunk);
			if (declared[network]?.vlans !== undefined) {
				return [`network ${trunk}: \`${network}\` is a trunk itself, and cannot be a VLAN of one`];
			}

			if (declared[network] === undefined) {
				const meant = suggest(network, known);
				return [`network ${trunk}: there is no network \`${network}\`, which is to be its VLAN ${id}; ${meant === undefined ? `known are ${known.join(', ')}` : `did you mean \`${meant}\`?`}`];
			}

			return [
				...(declared[network].kind === 'point-to-point' ? [`network ${trunk}: \`${network}\` is a point-to-point link, and cannot be a VLAN: a VLAN is switched`] : []),
				...(sameId === undefined ? [] : [`network ${trunk}: \`${sameId}\` and \`${network}\` have the same number, ${id}`]),
				...(otherTrunk === undefined ? [] : [`network ${trunk}: \`${network}\` is a VLAN of \`${otherTrunk}\` already: a network is part of one switch`]),
			];
		});
	});
}
