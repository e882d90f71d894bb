/** Overlays: one capability each, declared as a value. */
import type {ComponentDeclaration, ContainerImageDeclaration} from './component.ts';
import type {CertificateRequest, FileDeclaration} from './secret.ts';
import type {LabContext, MachineContext, OptionValue, Role, Route} from './topology.ts';
import type {Duration} from './units.ts';

/** An option of an overlay: `--set etcd.version=3.6.5`. */
export interface OptionDeclaration<Value extends OptionValue = OptionValue> {
	readonly default: Value;
	readonly summary: string;
	/** The allowed values, where they are few; beside one of the rules below, values that are allowed too. */
	readonly values?: readonly Value[];
	/** Of numbers, both included. */
	readonly minimum?: number;
	readonly maximum?: number;
	/** Of numbers: has it no fraction? Default false. */
	readonly whole?: boolean;
	/** Of texts: a regular expression that the whole text matches, and what to write, as the end of `must be`. */
	readonly pattern?: {readonly matches: string; readonly wanted: string};
	/** Of texts: a version (1.36.3; a leading v is taken away), or a folder of this computer (absolute; empty for none). */
	readonly kind?: 'version' | 'folder';
	/** Of texts: the name of an overlay that provides this capability. */
	readonly capability?: string;
	/**
	 * The shell command by which a machine that runs takes on another value, when the files that follow from it are there. An option with it changes
	 * nothing but files; a lab where only such options are not at their default is a change of the frozen lab where they are.
	 */
	readonly late?: string;
}

/** A condition for a machine to be ready: met when the command exits with 0 there. Its output is the last observation. */
export interface ReadyCondition {
	/** What is waited for, as a clause: 'node-1 is Ready'. */
	readonly sentence: string;
	/** At KVM speed; scaled to the machine's. */
	readonly deadline: Duration;
	/** Exactly one of these three: a systemd unit that is active, a local TCP port that accepts, a shell command. */
	readonly unit?: string;
	readonly port?: number;
	readonly command?: string;
}

/** What to collect from a machine when a run fails: a command's output, kept as a file of this name. */
export interface EvidenceDeclaration {
	readonly name: string;
	readonly command: string;
}

/** A TCP port of a machine that the host reaches on 127.0.0.1. */
export interface ForwardDeclaration {
	/** 'kube-apiserver' */
	readonly name: string;
	readonly machine: string;
	readonly port: number;
	/** The host port to prefer; a free one where it is taken. Without it, always a free one. */
	readonly hostPort?: number;
}

/** How a client on the host reaches the cluster: which forward, which authority, as whom. */
export interface ClusterAccess {
	readonly forward: string;
	readonly authority: string;
	readonly client: CertificateRequest;
}

/** Kernel modules to load at boot and sysctls to set. */
export interface KernelDeclaration {
	readonly modules?: readonly string[];
	readonly sysctls?: Readonly<Record<string, string | number>>;
}

type Options = Readonly<Record<string, OptionValue>>;

/** What a user may set an option to: any value of its default's type. */
type Widened<Value> = Value extends string ? string : Value extends number ? number : Value extends boolean ? boolean : Value;
type Resolved<O extends Options> = {readonly [Name in keyof O]: Widened<O[Name]>};

/**
 * An overlay's manifest. A value: no I/O, no clock, no environment in it. Its functions are pure. The folder's `rootfs/`
 * is copied as it is into the layer of every machine whose role has the overlay.
 */
export interface OverlayDeclaration<O extends Options = Options> {
	/** One line, for the index of overlays. */
	readonly summary: string;
	/** Capabilities beside its own name: ['cri']. */
	readonly provides?: readonly string[];
	/** Overlays or capabilities that must be there, and come first. */
	readonly needs?: readonly string[] | ((options: Resolved<O>) => readonly string[]);
	readonly options?: {readonly [Name in keyof O]: OptionDeclaration<O[Name]>};
	/** The roles that get it; default all. */
	readonly roles?: readonly Role[];
	readonly components?: (options: Resolved<O>) => readonly ComponentDeclaration[];
	/** Container images that the nodes have before they are needed. */
	readonly images?: (options: Resolved<O>) => readonly ContainerImageDeclaration[];
	/** Debian packages of the image. */
	readonly packages?: readonly string[];
	/**
	 * Debian packages with the source of kernel modules, as dkms(8) builds them: ['jool-dkms']. They are built for the kernel of the lab's image and
	 * put into the layers of the overlay's roles, where modprobe finds them. Nothing loads them unasked.
	 */
	readonly modulePackages?: readonly string[];
	readonly kernel?: (context: MachineContext<Resolved<O>>) => KernelDeclaration;
	/** Folders that are kept on the machine's own disk (ext4), not on the overlay root: ['/var/lib/etcd']. */
	readonly state?: readonly string[];
	readonly routes?: (context: MachineContext<Resolved<O>>) => readonly Route[];
	readonly files?: (context: MachineContext<Resolved<O>>) => readonly FileDeclaration[];
	/** systemd units to enable. */
	readonly units?: (context: MachineContext<Resolved<O>>) => readonly string[];
	/**
	 * systemd units whose processes keep a random number generator of their own, seeded when they start: a server that uses OpenSSL, a program in
	 * Python. All forks of a frozen lab go on with the state that it had. In each fork the units that run are restarted (`systemctl try-restart`), after the
	 * kernel has new random numbers and before the fork counts as ready; where one cannot be, the fork fails. Not needed for what asks the kernel for each
	 * number, as programs in Go do.
	 */
	readonly restartInForks?: (context: MachineContext<Resolved<O>>) => readonly string[];
	readonly ready?: (context: MachineContext<Resolved<O>>) => readonly ReadyCondition[];
	readonly evidence?: (context: MachineContext<Resolved<O>>) => readonly EvidenceDeclaration[];
	readonly forwards?: (context: LabContext<Resolved<O>>) => readonly ForwardDeclaration[];
	readonly access?: (context: LabContext<Resolved<O>>) => ClusterAccess;
	/** Paths of other overlays that this one's rootfs or files override on purpose; likewise names of sysctls. */
	readonly replaces?: readonly string[];
}

/**
 * Declares an overlay; the default export of `overlays/<name>/overlay.ts`.
 * The types of the options follow from `options`. The shape is checked when the overlay is loaded, with all problems at once.
 */
export function defineOverlay<const O extends Options = Record<string, never>>(declaration: OverlayDeclaration<O>): OverlayDeclaration {
	return declaration as unknown as OverlayDeclaration;
}
