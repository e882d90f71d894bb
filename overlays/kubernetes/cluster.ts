/** Where things are in the cluster: its first node has the control plane, and all addresses are of the lab's families. */
import {addressAt, urlHost, type LabMachine, type LabTopology} from 'vmlab';

/** The port of the API server (the registered port of Kubernetes' own tools). */
export const apiServerPort = 6443;

/** The nodes of the lab, in order. */
export function nodesOf(lab: LabTopology): readonly LabMachine[] {
	return lab.machines.filter(machine => machine.role === 'node');
}

/** Does this machine have the control plane? It is on the first node. */
export function hasControlPlane(machine: LabMachine): boolean {
	return machine.role === 'node' && machine.index === 1;
}

/** The machine with the control plane. A lab with this overlay and without nodes has none. */
export function controlPlane(lab: LabTopology): LabMachine {
	const machine = lab.machines.find(hasControlPlane);
	if (machine === undefined) {
		throw new Error('a Kubernetes cluster needs at least one machine of the role `node`');
	}

	return machine;
}

/** A machine's address in the lab's preferred family. */
export function primaryAddress(lab: LabTopology, machine: LabMachine): string {
	return machine.address[lab.families[0]!]!;
}

/** A machine's addresses, the preferred family's first. */
export function addressesOf(lab: LabTopology, machine: LabMachine): string[] {
	return lab.families.flatMap(family => machine.address[family] ?? []);
}

/** Where every client inside the lab finds the API server. */
export function apiServerUrl(lab: LabTopology): string {
	return `https://${urlHost(primaryAddress(lab, controlPlane(lab)))}:${apiServerPort}`;
}

/**
 * What a server binds to that must answer on all addresses of its machine. A socket on [::] takes IPv4 too (ipv6(7),
 * IPV6_V6ONLY), which is how the host reaches an IPv6-only machine through its maintenance interface.
 */
export function anyAddress(lab: LabTopology): string {
	return lab.families.includes('ipv6') ? '::' : '0.0.0.0';
}

/** What a server binds to that only its own machine may reach. */
export function loopbackAddress(lab: LabTopology): string {
	return lab.families[0] === 'ipv6' ? '::1' : '127.0.0.1';
}

/** CIDRs of both families as Kubernetes' flags take them: the preferred first, separated by commas. */
export function cidrList(lab: LabTopology, range: 'pods' | 'services'): string {
	return lab.families.flatMap(family => lab[range][family] ?? []).join(',');
}

/** A place in the Services' ranges, per family, the preferred first: 1 is the API server's Service, 10 the cluster's DNS by convention. */
export function serviceAddresses(lab: LabTopology, place: number): string[] {
	return lab.families.flatMap(family => {
		const range = lab.services[family];
		return range === undefined ? [] : [addressAt(range, place)];
	});
}
