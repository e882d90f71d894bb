/** Labs for routing: small machines without a cluster, on networks that have both families. */
import {defineLab, type MachinesDeclaration, type NetworkDeclaration} from 'vmlab';

/** What machines get that do no more than send packets and pass them on: so many on the same networks, or each on its own. */
function small(networks: NonNullable<MachinesDeclaration['networks']>, count = 1): MachinesDeclaration {
	return {count: Array.isArray(networks) ? count : Object.keys(networks).length, memory: '256MiB', networks};
}

/** A network by its number: 192.168.1.0/24 and fd00:1::/64. */
function network(number: number, mtu?: number): NetworkDeclaration {
	return {subnets: {ipv4: `192.168.${number}.0/24`, ipv6: `fd00:${number}::/64`}, ...(mtu !== undefined && {mtu})};
}

/** A link between two machines, with two addresses in each family. */
const wire: NetworkDeclaration = {kind: 'point-to-point'};

const families = ['ipv4', 'ipv6'] as const;
const overlays = ['base', 'iptools', 'routes'];

/** Three hosts on one network, and no router. */
export const lanLab = defineLab({
	families,
	networks: {lan: network(1)},
	machines: {host: small(['lan'], 3)},
	overlays: ['base', 'iptools'],
});

/** The most bytes of a packet that gets through the narrowest network of `multiHopLab`. */
export const narrow = 1400;

/** A tester and a server with three routers in a row between them; the third of the four networks takes smaller packets than the others. */
export const multiHopLab = defineLab({
	families,
	networks: {left: network(1), first: network(2), second: network(3, narrow), right: network(4)},
	machines: {
		tester: small(['left']),
		router: small({'router-1': ['left', 'first'], 'router-2': ['first', 'second'], 'router-3': ['second', 'right']}),
		server: small(['right']),
	},
	overlays,
});

/** Two LANs with two hosts each, every LAN behind a router of its own, and a backbone between the routers. */
export const twoZonesLab = defineLab({
	families,
	networks: {east: network(1), backbone: network(2), west: network(3)},
	machines: {
		host: small({'host-1': ['east'], 'host-2': ['east'], 'host-3': ['west'], 'host-4': ['west']}),
		router: small({'router-1': ['east', 'backbone'], 'router-2': ['backbone', 'west']}),
	},
	overlays,
});

/** Two routers with two links between them that are worth the same, found by OSPF. */
export const ecmpLab = defineLab({
	families,
	networks: {left: network(1), 'path-a': wire, 'path-b': wire, right: network(2)},
	machines: {
		tester: small(['left']),
		router: small({'router-1': ['left', 'path-a', 'path-b'], 'router-2': ['path-a', 'path-b', 'right']}),
		server: small(['right']),
	},
	overlays: [...overlays, 'bird'],
});

/** Four routers in a diamond, with OSPF: in the west router-1, in the north router-2, in the south router-3, in the east router-4. The way by the north costs less than the one by the south. */
export const diamondLab = defineLab({
	families,
	networks: {left: network(1), 'north-west': wire, 'north-east': wire, 'south-west': wire, 'south-east': wire, right: network(2)},
	machines: {
		tester: small(['left']),
		router: small({
			'router-1': ['left', 'north-west', 'south-west'],
			'router-2': ['north-west', 'north-east'],
			'router-3': ['south-west', 'south-east'],
			'router-4': ['north-east', 'south-east', 'right'],
		}),
		server: small(['right']),
	},
	overlays: [...overlays, 'bird'],
	options: {bird: {costs: 'router-1@south-west 20, router-4@south-east 20'}},
});

/** Hosts of two VLANs, and a router that is on both by one link, a trunk. */
export const stickLab = defineLab({
	families,
	networks: {blue: network(1), green: network(2), trunk: {vlans: {blue: 10, green: 20}}},
	machines: {
		host: small({'host-1': ['blue'], 'host-2': ['blue'], 'host-3': ['green']}),
		router: small(['trunk']),
	},
	overlays: ['base', 'iptools'],
});

/** The most bytes of a packet on each of the two networks of `jumboLab`. */
export const wide = 9000;
/** The MTU of networks that say nothing else. */
export const usual = 1500;

/** Two hosts on a network that takes jumbo frames, and a router to a server on one that does not. */
export const jumboLab = defineLab({
	families,
	networks: {jumbo: network(1, wide), plain: network(2, usual)},
	machines: {
		host: small(['jumbo'], 2),
		router: small(['jumbo', 'plain']),
		server: small(['plain']),
	},
	overlays: ['base', 'iptools'],
});
