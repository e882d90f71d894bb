/** Labs: machines, networks, overlays and options, before anything is resolved. */
import type {EntropySource} from './entropy.ts';
import type {Family, PerFamily} from './family.ts';
import type {ImpairmentDeclaration} from './impairment.ts';
import type {ForwardDeclaration} from './overlay.ts';
import type {OptionValue} from './topology.ts';
import type {Size} from './units.ts';

/** The machines of one role. */
export interface MachinesDeclaration {
	readonly count: number;
	/** Default 1. */
	readonly cpus?: number;
	readonly memory?: Size;
	/** Default '4GiB', sparse. */
	readonly disk?: Size;
	/** The networks it is on, in order. Default: nodes ['cluster'], routers ['cluster', 'external'], others ['external']. */
	readonly networks?: readonly string[];
	/**
	 * What its kernel has random numbers from at boot. Default: all sources. One that is not named is not there, or is not counted by the kernel; with
	 * none at all the kernel makes its random numbers itself, while the first program that asks for some waits.
	 */
	readonly entropy?: readonly EntropySource[];
}

/** A layer-2 segment and its addresses. */
export interface NetworkDeclaration {
	/** CIDR per family; a family that the network does not have is left out. */
	readonly subnets: PerFamily<string>;
	/** Where they are others than the lab's: an IPv4-only network beyond the router of an IPv6-only cluster. Each needs a subnet. */
	readonly families?: readonly Family[];
	/** Default 1500. */
	readonly mtu?: number;
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
