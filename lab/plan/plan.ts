/**
 * The plan: all that is decided before anything runs. Pure data; two plans from the same declarations are equal.
 */
import type {ComponentDeclaration, ContainerImageDeclaration, ProgramDeclaration} from '../spec/component.ts';
import type {EntropySource} from '../spec/entropy.ts';
import type {ImageDeclaration} from '../spec/image.ts';
import type {Impairment} from '../spec/impairment.ts';
import type {ClusterAccess, EvidenceDeclaration, ForwardDeclaration, ReadyCondition} from '../spec/overlay.ts';
import type {FileDeclaration} from '../spec/secret.ts';
import type {LabMachine, LabTopology, Role, Route} from '../spec/topology.ts';

/** A program that a layer has. */
export type InstalledProgram = ProgramDeclaration & {readonly path: string};

/** What a stage makes, with everything that makeStage needs to make it. */
export type StageRecipe =
	/** Kernel, initramfs and root filesystem: out/vmlinuz, out/initramfs, out/root.erofs, out/packages.txt. */
	| {readonly kind: 'image'; readonly name: string; readonly image: ImageDeclaration; readonly packages: readonly string[]}
	/** The programs of a component: out/NAME each. `folder` is the overlay's. */
	| {readonly kind: 'component'; readonly component: ComponentDeclaration; readonly folder: string; readonly localDigest?: string}
	/**
	 * Kernel modules, built for the kernel of an image: out/modules.tar has them, and depmod's index of them and of all modules of the image, where a
	 * layer has them; out/kernel is what they were built for, and out/packages.txt with what. `image` is the name of the image's stage; `packages` are
	 * those with the source.
	 */
	| {readonly kind: 'modules'; readonly image: string; readonly release: string; readonly exclude: readonly string[]; readonly packages: readonly string[]}
	/** A container image: out/image.tar (OCI layout). `from` is the name of the component's stage for a recipe. */
	| {readonly kind: 'container-image'; readonly image: ContainerImageDeclaration; readonly from?: string}
	/** The merged layer of a role: out/layer.erofs. */
	| {
		readonly kind: 'layer';
		/** Of the machines that have it; 'image store' for the one that makes the image store. */
		readonly role: Role;
		/** rootfs/ folders, in the order of the overlays. */
		readonly trees: ReadonlyArray<{readonly overlay: string; readonly folder: string}>;
		/** Component stages, by stage name, and where their programs go. */
		readonly components: ReadonlyArray<{readonly stage: string; readonly programs: readonly InstalledProgram[]}>;
		/** Container image stages, by stage name: OCI layouts in /usr/lib/vmlab/images. Only the layer that an image store is made with has any. */
		readonly images: readonly string[];
		/** The stage of the kernel modules, by name, where an overlay of the role has some; the index in it is that of all. */
		readonly modules?: string;
	}
	/** The container images of the lab in the store of its container runtime: out/store.erofs. `lab` is the one machine that makes it. */
	| {readonly kind: 'image-store'; readonly lab: Plan}
	/** An empty ext4 disk: out/disk.qcow2. Bytes. */
	| {readonly kind: 'disk'; readonly size: number};

/** A stage of the chain. */
export interface PlannedStage {
	/** Unique in a plan: 'image bookworm', 'component etcd', 'layer node'. */
	readonly name: string;
	/** Hex sha256 of everything that goes into it. */
	readonly key: string;
	/** Names of the stages that it is made from. */
	readonly needs: readonly string[];
	readonly recipe: StageRecipe;
}

/** A machine with all that is needed to boot it. */
export interface PlannedMachine extends LabMachine {
	readonly cpus: number;
	/** Bytes. */
	readonly memory: number;
	/** Bytes. */
	readonly disk: number;
	/** What its kernel has random numbers from at boot; not there where that is all there is. */
	readonly entropy?: readonly EntropySource[];
	readonly overlays: readonly string[];
	readonly routes: readonly Route[];
	/** All overlays' files for this machine, and the generated ones. */
	readonly files: readonly FileDeclaration[];
	readonly units: readonly string[];
	/** Units that are restarted in each fork before it counts as ready. */
	readonly restartInForks?: readonly string[];
	/** Folders kept on its own disk. */
	readonly state: readonly string[];
	readonly ready: readonly ReadyCondition[];
	readonly evidence: readonly EvidenceDeclaration[];
	/** Stage names: its image, its role's layer, its blank disk; where it has a container runtime, the store of its images. */
	readonly stages: {readonly image: string; readonly layer: string; readonly disk: string; readonly store?: string};
}

/** How a lab comes from another one that is ready. */
export interface LateChange {
	readonly early: Plan;
	/** Machine -> files that are to be written. */
	readonly files: Readonly<Record<string, readonly FileDeclaration[]>>;
	/** Shell commands for the machines that have such files, one after the other. */
	readonly commands: readonly string[];
}

/** A link on which something is wrong. */
export interface ImpairedLink {
	/** 'node-1@cluster' */
	readonly link: string;
	readonly impairments: readonly Impairment[];
}

/** All that is decided about a lab. */
export interface Plan {
	readonly topology: LabTopology;
	readonly imageName: string;
	readonly image: ImageDeclaration;
	/** In the order of the overlay graph. */
	readonly overlays: readonly string[];
	readonly machines: readonly PlannedMachine[];
	readonly forwards: readonly ForwardDeclaration[];
	readonly access?: ClusterAccess;
	readonly egress: boolean;
	/** What is set on links when the lab is ready. No part of what is booted and frozen; not there where nothing is set. */
	readonly links?: readonly ImpairedLink[];
	/** In an order in which each comes after what it needs. */
	readonly stages: readonly PlannedStage[];
	/** Hex sha256 of everything that a booted lab is made of, secrets apart. */
	readonly key: string;
	/** Another lab that this one is a late change of. */
	readonly change?: LateChange;
}
