/** The network of a machine as the files that /usr/lib/vmlab/network reads. */
import type {Family, LabMachine, LabTopology, MachineContext, Role} from 'vmlab';

/** The maintenance network is QEMU's user-mode one; the addresses are its defaults. */
const maintenance = {device: 'eth0', vrf: 'mgmt', table: 100, address: '10.0.2.15/24', gateway: '10.0.2.2'} as const;

/** Machines of these roles pass packets on. */
const forwardingRoles: readonly Role[] = ['node', 'router'];

/** /etc/vmlab/nics: `MAC NAME` lines. A VLAN has its NIC's address. */
export function nics({machine}: MachineContext): string {
	const own = machine.links.filter(({vlan}) => vlan === undefined);
	return lines([`${machine.maintenanceMac} ${maintenance.device}`, ...own.map(({mac, device}) => `${mac} ${device}`)]);
}

/** /etc/vmlab/devices: a batch for ip(8) that makes the devices of VLANs (ip-link(8), `type vlan`). They must be there before anything is set of them. */
export function devices({machine}: MachineContext): string {
	return lines(machine.links.flatMap(({device, vlan}) => (vlan === undefined ? [] : [`link add link ${vlan.device} name ${device} type vlan id ${vlan.id}`])));
}

/** The families that a machine has, on whatever link. */
function familiesOf({links}: LabMachine): Family[] {
	return [...new Set(links.flatMap(({addresses}) => addresses.map(({family}) => family)))];
}

/** /etc/vmlab/sysctls: `PATH VALUE` lines, in the order in which they must be set. */
export function sysctls({machine}: MachineContext): string {
	const own = machine.links.map(({device}) => device);
	const forwarding = forwardingRoles.includes(machine.role) ? 1 : 0;
	// `all` and `default` for devices to come (bridges, tunnels), and each device that is there already.
	const everywhere = ['all', 'default', ...own];
	const [ipv4, ipv6] = (['ipv4', 'ipv6'] as const).map((family) => familiesOf(machine).includes(family));
	return lines([
		// Setting it also sets what each device has of its own, so it comes first.
		`net/ipv4/ip_forward ${ipv4 ? forwarding : 0}`,
		`net/ipv6/conf/all/forwarding ${ipv6 ? forwarding : 0}`,
		// Sockets outside the VRF answer what comes in through it: the host's ssh and its port forwards.
		'net/ipv4/tcp_l3mdev_accept 1',
		// Labs have asymmetric paths on purpose; what a filter dropped would look like a fault of the function under test.
		...everywhere.map((device) => `net/ipv4/conf/${device}/rp_filter 0`),
		// By flow, addresses and ports, so that one client's connections spread over all next hops.
		...(machine.role === 'router' ? ['net/ipv4/fib_multipath_hash_policy 1', 'net/ipv6/fib_multipath_hash_policy 1'] : []),
		// Addresses are the plan's: none is learnt, and none waits to be found unique.
		...everywhere.flatMap((device) => [`net/ipv6/conf/${device}/accept_ra 0`, `net/ipv6/conf/${device}/accept_dad 0`, `net/ipv6/conf/${device}/dad_transmits 0`]),
		`net/ipv6/conf/${maintenance.device}/disable_ipv6 1`,
		// On a network without IPv6 there are not even link-local addresses.
		...machine.links.filter(({addresses}) => !addresses.some(({family}) => family === 'ipv6')).map(({device}) => `net/ipv6/conf/${device}/disable_ipv6 1`),
	]);
}

/** /etc/vmlab/network: a batch for ip(8). */
export function network({machine, routes}: MachineContext): string {
	const {device, vrf, table, address, gateway} = maintenance;
	return lines([
		'link set dev lo up',
		`link add ${vrf} type vrf table ${table}`,
		`link set dev ${vrf} up`,
		`link set dev ${device} master ${vrf} up`,
		`addr add ${address} dev ${device}`,
		`route add default via ${gateway} table ${table}`,
		...machine.links.flatMap(({device, mtu, addresses}) => [
			`link set dev ${device} mtu ${mtu} up`,
			...addresses.map(({family, address, prefix}) => `addr add ${address}/${prefix} dev ${device}${family === 'ipv6' ? ' nodad' : ''}`),
		]),
		...routes.map(({to, via}) => `route add ${to} ${via.length === 1 ? `via ${via[0]}` : via.map((next) => `nexthop via ${next}`).join(' ')}`),
	]);
}

/** /etc/hosts: all machines of the lab, by those of their addresses that are of a family that this machine has; the lab's preferred family first. */
export function hosts(lab: LabTopology, self: LabMachine): string {
	const own = familiesOf(self);
	const families = [...lab.families.filter((family) => own.includes(family)), ...own.filter((family) => !lab.families.includes(family))];
	return lines([
		...(own.includes('ipv4') ? ['127.0.0.1 localhost'] : []),
		...(own.includes('ipv6') ? ['::1 localhost ip6-localhost ip6-loopback'] : []),
		// One's own name is an address that others can use as well, never the loopback's: what announces itself by name relies on it.
		...[...lab.machines].sort((a, b) => Number(b.name === self.name) - Number(a.name === self.name))
			.flatMap(({name, address}) => families.flatMap((family) => (address[family] === undefined ? [] : [`${address[family]} ${name}`]))),
	]);
}

function lines(text: readonly string[]): string {
	return text.map((line) => `${line}\n`).join('');
}
