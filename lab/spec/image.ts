/** Images: a bootable base made from a Debian release. */

/** What an image is made of. Overlays add their own packages to these. */
export interface ImageDeclaration {
	readonly summary: string;
	/** 'bookworm' */
	readonly release: string;
	/** The Debian package of the kernel: 'linux-image-cloud-amd64'. */
	readonly kernel: string;
	readonly packages: readonly string[];
	/** Modules that the initramfs loads to reach the layers and the disk, without their dependencies. */
	readonly bootModules: readonly string[];
	/** Globs of paths that the root filesystem does not need: documentation, locales. */
	readonly exclude?: readonly string[];
	/** systemd units that a lab has no use for. */
	readonly mask?: readonly string[];
	/** Kernel arguments of this image. */
	readonly kernelArguments?: readonly string[];
}

/** Declares an image; the default export of `images/<name>/image.ts`. */
export function defineImage(declaration: ImageDeclaration): ImageDeclaration {
	return declaration;
}
