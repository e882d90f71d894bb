/** Components: third-party programs at a pinned version, and container images made from them. */

/** One program of a component and where a layer has it. */
export interface ProgramDeclaration {
	readonly name: string;
	/** Absolute and usr-merged: `/usr/bin/etcd`. Without it the program is in no layer: it is there for container images. */
	readonly path?: string;
	/** Octal mode, default 0o755. */
	readonly mode?: number;
}

/** How `go build` makes the programs. The module is pinned by the overlay's own go.mod and go.sum. */
export interface GoDeclaration {
	/** The module that has the version: 'k8s.io/kubernetes'. */
	readonly module: string;
	/** Program name -> Go package: {kubelet: 'k8s.io/kubernetes/cmd/kubelet'}. */
	readonly packages: Readonly<Record<string, string>>;
	/** -ldflags, with VERSION replaced by the version (no leading v). Symbols and debug information are left out anyway. */
	readonly ldflags?: string;
	readonly tags?: readonly string[];
	/** Needs a C compiler; then `headers` are the Debian packages the host needs. Default false. */
	readonly cgo?: boolean;
	readonly headers?: readonly string[];
	/** Staging modules that follow the version: kubernetes' 33, replaced by v0.MINOR.PATCH. Default false. */
	readonly staging?: boolean;
	/** Start from the module's own go.sum where another version than the pinned one is asked for. Default false. */
	readonly ownSums?: boolean;
	/** The folder, inside the overlay's folder, of go.mod and go.sum. Default '.'. */
	readonly folder?: string;
	/** The oldest Go release that builds it: '1.26'. */
	readonly goVersion?: string;
}

/** The project's official release download. VERSION is replaced in both addresses. */
export interface ReleaseDeclaration {
	readonly url: string;
	/** Where the published sha256 is (a file of `HEX  NAME` lines, or one HEX). */
	readonly checksumUrl: string;
	/** Program name -> its path in the archive. An `url` that is no archive has one program, ''. */
	readonly paths: Readonly<Record<string, string>>;
}

/** From a Debian package of the host's mirror. */
export interface DebianDeclaration {
	readonly package: string;
	/** Program name -> its path in the package. */
	readonly paths: Readonly<Record<string, string>>;
}

/** C sources that come inside the component's Go module (cri-o's pinns). */
export interface CSourceDeclaration {
	/** Program name -> its folder in the module, or its one file there where others lie beside it. */
	readonly folders: Readonly<Record<string, string>>;
}

/** A third-party program, or several that come together, at one version. */
export interface ComponentDeclaration {
	/** Unique in a lab: 'kubernetes', 'etcd'. */
	readonly name: string;
	/** The version without a leading v. */
	readonly version: string;
	readonly programs: readonly ProgramDeclaration[];
	/** A folder with the developer's own build of the programs, by their names. Wins over every other provider. */
	readonly dir?: string;
	readonly go?: GoDeclaration;
	readonly cSources?: CSourceDeclaration;
	readonly release?: ReleaseDeclaration;
	readonly debian?: DebianDeclaration;
	/** Take Debian's version whatever it is. Default false. */
	readonly anyDebianVersion?: boolean;
}

/** Where the bytes of a container image come from. */
export type ContainerImageSource =
	/** A recipe: programs of components put into an image of their own. */
	| {
		readonly component: string;
		/** Program name -> path in the image. */
		readonly programs: Readonly<Record<string, string>>;
		readonly entrypoint: readonly string[];
		readonly command?: readonly string[];
		readonly environment?: Readonly<Record<string, string>>;
		/** Numeric `uid:gid`. Default root. */
		readonly user?: string;
		/** Links in the image: path -> target (busybox applets). */
		readonly links?: Readonly<Record<string, string>>;
	}
	/** An OCI or docker-archive tar on the host. */
	| {readonly file: string}
	/** The local Docker daemon, by this reference: pulled where there is a network, then saved. */
	| {readonly docker: string};

/** A container image that nodes have before it is needed. */
export interface ContainerImageDeclaration {
	/** The whole name and tag: 'registry.k8s.io/pause:3.10'. */
	readonly reference: string;
	readonly source: ContainerImageSource;
}
