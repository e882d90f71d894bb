/**
 * What an overlay's functions are told about the lab that it is part of. All of it is decided by the plan, before
 * anything runs, and nothing of it differs between two copies of one lab: no host port, no folder, no lab name.
 */
import type {Family, PerFamily} from './family.ts';

/** What a machine is for. Open: a lab may have roles of its own. */
export type Role = 'node' | 'router' | 'tester' | (string & {});

/** An address on a link. */
export interface LinkAddress {
	readonly family: Family;
	/** '192.168.1.1' */
	readonly address: string;
	/** Bits: 24. */
	readonly prefix: number;
}

/** A machine's end of a network: a NIC, or a VLAN of one. */
export interface MachineLink {
	readonly network: string;
	/** The name inside the machine: 'eth1', 'eth2', in the order of the machine's networks; of a VLAN 'eth1.10'. */
	readonly device: string;
	/** A VLAN has that of its NIC. */
	readonly mac: string;
	readonly mtu: number;
	/** None where the network is a trunk: its VLANs, which follow it, have them. */
	readonly addresses: readonly LinkAddress[];
	/** Only of a VLAN: its number, and the NIC whose frames are tagged with it. */
	readonly vlan?: {readonly id: number; readonly device: string};
}

/** A route, as `ip route add` takes it; several gateways make it multipath (ECMP). */
export interface Route {
	readonly family: Family;
	/** A CIDR, or 'default'. */
	readonly to: string;
	readonly via: readonly string[];
}

/** A machine, as overlays and steps see it. */
export interface LabMachine {
	readonly name: string;
	readonly role: Role;
	/** Counts from 1 within the role. */
	readonly index: number;
	/** NICs in the order of the machine's networks, each with its VLANs behind it. */
	readonly links: readonly MachineLink[];
	/** Of the maintenance NIC, by which the host reaches the machine: QEMU's user-mode network, 10.0.2.0/24, in a VRF of its own. */
	readonly maintenanceMac: string;
	/** The first address on the machine's first network that has addresses, per family that the network carries: its InternalIP. */
	readonly address: PerFamily<string>;
	/** The pod subnets of a node, per family; empty for other roles. */
	readonly pods: PerFamily<string>;
}

/** What a network is: a switch with as many machines as there are, or a wire between two. */
export type NetworkKind = 'lan' | 'point-to-point';

/** A network, as overlays and steps see it. */
export interface LabNetwork {
	readonly name: string;
	/** What it carries, the preferred first: the lab's families where it does not declare others; of a trunk those of its VLANs. A frame of another is an error of the lab. */
	readonly families: readonly Family[];
	/** CIDR, per family that it carries; a trunk has none. */
	readonly subnets: PerFamily<string>;
	readonly mtu: number;
	/** Not there for a switch. */
	readonly kind?: 'point-to-point';
	/** Of a trunk: network -> its VLAN's number. */
	readonly vlans?: Readonly<Record<string, number>>;
}

/** The lab, as overlays see it. */
export interface LabTopology {
	/** Of nodes, pods and Services; one or two, the preferred first. A network may have others. */
	readonly families: readonly Family[];
	readonly machines: readonly LabMachine[];
	readonly networks: readonly LabNetwork[];
	/** CIDRs per family: all pods, Services' cluster addresses, external service addresses. */
	readonly pods: PerFamily<string>;
	readonly services: PerFamily<string>;
	readonly external: PerFamily<string>;
	/** Overlay name -> its resolved options; only overlays of the lab are there. */
	readonly options: Readonly<Record<string, Readonly<Record<string, OptionValue>>>>;
	/** Capability -> the overlay that provides it in this lab: {cri: 'containerd'}. */
	readonly providers: Readonly<Record<string, string>>;
	/** All container images of the lab, by reference. */
	readonly images: readonly string[];
}

/** What an option of an overlay may be set to. */
export type OptionValue = string | number | boolean;

/** What the functions of an overlay's manifest are given. */
export interface MachineContext<Options = Readonly<Record<string, OptionValue>>> {
	readonly machine: LabMachine;
	readonly lab: LabTopology;
	/** The overlay's own options, resolved. */
	readonly options: Options;
	/** All routes of the machine, of all overlays; empty while routes themselves are computed. */
	readonly routes: readonly Route[];
}

/** The same, where no machine is meant. */
export interface LabContext<Options = Readonly<Record<string, OptionValue>>> {
	readonly lab: LabTopology;
	readonly options: Options;
}
