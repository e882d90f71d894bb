/** Labs for routing: small machines without a cluster, on networks that have both families. */
import {defineLab, type MachinesDeclaration, type NetworkDeclaration} from 'vmlab';

/** What machines get that do no more than send packets and pass them on. */
function small(networks: readonly string[], count = 1): MachinesDeclaration {
	return {count, memory: '256MiB', networks};
}

/** A network by its number: 192.168.1.0/24 and fd00:1::/64. */
function network(number: number, mtu?: number): NetworkDeclaration {
	return {subnets: {ipv4: `192.168.${number}.0/24`, ipv6: `fd00:${number}::/64`}, ...(mtu !== undefined && {mtu})};
}

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
		near: small(['left', 'first']),
		middle: small(['first', 'second']),
		far: small(['second', 'right']),
		server: small(['right']),
	},
	overlays,
	options: {routes: {routers: 'near middle far'}},
});
