/** Labs: machines, networks, overlays and options, before anything is resolved. */
import type {EntropySource} from './entropy.ts';
import type {Family, PerFamily} from './family.ts';
import type {ImpairmentDeclaration} from './impairment.ts';
import type {ForwardDeclaration} from './overlay.ts';
import type {NetworkKind, OptionValue} from './topology.ts';
import type {Size} from './units.ts';

/** The machines of one role. */
export interface MachinesDeclaration {
	readonly count: number;
	/** Default 1. */
	readonly cpus?: number;
	readonly memory?: Size;
	/** Default '4GiB', sparse. */
	readonly disk?: Size;
	/**
	 * The networks that they are on, in order; where they are not all on the same ones, those of each machine by its name: {'router-1': ['left', 'up'], 'router-2': ['up', 'right']}.
	 * Default: nodes ['cluster'], routers ['cluster', 'external'], others ['external'].
	 */
	readonly networks?: readonly string[] | Readonly<Record<string, readonly string[]>>;
	/**
	 * What its kernel has random numbers from at boot. Default: all sources. One that is not named is not there, or is not counted by the kernel; with
	 * none at all the kernel makes its random numbers itself, while the first program that asks for some waits.
	 */
	readonly entropy?: readonly EntropySource[];
}

/** A layer-2 segment and its addresses. */
export interface NetworkDeclaration {
	/**
	 * CIDR per family; a family that the network does not have is left out. A trunk has none, and a point-to-point link that does not say has a /31 and a /127 of its own,
	 * from 192.168.255.0/24 and 1000::1:c0a8:ff00/120.
	 */
	readonly subnets?: PerFamily<string>;
	/** Where they are others than the lab's: an IPv4-only network beyond the router of an IPv6-only cluster. Each needs a subnet. */
	readonly families?: readonly Family[];
	/** Bytes of the longest packet, from 576 (with IPv6 from 1280) to 65535. Default 1500; of a trunk the largest of its VLANs. */
	readonly mtu?: number;
	/** A point-to-point link is a wire between exactly two machines: what one sends the other gets, whatever address it is for. Default 'lan', a switch. */
	readonly kind?: NetworkKind;
	/**
	 * Makes it a trunk (IEEE 802.1Q): network -> its VLAN's number, 1 to 4094: {blue: 10, green: 20}. Those networks and the trunk are one switch then. A machine on the trunk has
	 * one NIC with a device for each VLAN (eth1.10, eth1.20); one on `blue` has a NIC at an access port, where frames have no tag.
	 */
	readonly vlans?: Readonly<Record<string, number>>;
}

/** What is booted. */
export interface LabDeclaration {
	/** Default 'bookworm'. */
	readonly image?: string;
	/** Those of nodes, pods and Services; of a network where it does not say. One or two, the preferred first. Default ['ipv4']. */
	readonly families?: readonly Family[];
	/** Role -> machines: {node: {count: 2}, router: {count: 1}}. */
	readonly machines: Readonly<Record<string, MachinesDeclaration>>;
	/** Default: 'cluster' and 'external', with the addresses of the design. */
	readonly networks?: Readonly<Record<string, NetworkDeclaration>>;
	/**
	 * Link, as machine@network, -> what is wrong with it: {'node-1@cluster': [{loss: '5%', delay: '20ms'}]}. So it is from when the lab is ready on, not while it boots: labs that
	 * differ in nothing else share one frozen lab.
	 */
	readonly links?: Readonly<Record<string, readonly ImpairmentDeclaration[]>>;
	readonly overlays: readonly string[];
	/** Overlay -> option -> value. */
	readonly options?: Readonly<Record<string, Readonly<Record<string, OptionValue>>>>;
	readonly pods?: PerFamily<string>;
	readonly services?: PerFamily<string>;
	readonly external?: PerFamily<string>;
	readonly forwards?: readonly ForwardDeclaration[];
	/** May machines reach the outside through the host? Default false. */
	readonly egress?: boolean;
}

/** Declares a lab that several scenarios share. */
export function defineLab(declaration: LabDeclaration): LabDeclaration {
	return declaration;
}
