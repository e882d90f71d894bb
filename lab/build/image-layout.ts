/**
 * OCI image layouts (OCI image-spec, image-layout.md) as tar archives: what container runtimes import. One image in each,
 * under the one name that it is to have.
 */
import {createHash} from 'node:crypto';
import {stat} from 'node:fs/promises';
import {digestFile} from '../host/digest.ts';
import {wholeReference} from '../spec/image-reference.ts';
import {type TarEntry, writeTar} from './tar.ts';

/** Points at a blob (OCI image-spec, descriptor.md). Size in bytes. */
export interface Descriptor {
	readonly mediaType: string;
	/** `sha256:HEX` */
	readonly digest: string;
	readonly size: number;
	readonly annotations?: Readonly<Record<string, string>>;
	readonly platform?: {readonly architecture: string; readonly os: string};
}

/** A manifest (OCI image-spec, manifest.md), as far as it is needed here. */
export interface Manifest {
	readonly schemaVersion: 2;
	readonly mediaType?: string;
	readonly config: Descriptor;
	readonly layers: readonly Descriptor[];
}

/** A blob: a text, or a file. */
export type Blob = {readonly digest: string; readonly text: string} | {readonly digest: string; readonly file: string};

/** The kinds of blobs (OCI image-spec, media-types.md). */
export const mediaTypes = {
	index: 'application/vnd.oci.image.index.v1+json',
	manifest: 'application/vnd.oci.image.manifest.v1+json',
	config: 'application/vnd.oci.image.config.v1+json',
	layer: 'application/vnd.oci.image.layer.v1.tar',
	gzipLayer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const;

/** What guests are. */
export const platform = {architecture: 'amd64', os: 'linux'} as const;

/** A text as a blob, and the descriptor of it. */
export function textBlob(mediaType: string, text: string): {blob: Blob; descriptor: Descriptor} {
	const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
	return {blob: {digest, text}, descriptor: {mediaType, digest, size: Buffer.byteLength(text)}};
}

/** A file as a blob, and the descriptor of it. */
export async function fileBlob(mediaType: string, file: string): Promise<{blob: Blob; descriptor: Descriptor}> {
	const digest = `sha256:${await digestFile(file)}`;
	return {blob: {digest, file}, descriptor: {mediaType, digest, size: (await stat(file)).size}};
}

/** Writes the layout of one image: the blobs of its manifest, its config and its layers, and an index that names it. */
export async function writeLayout(file: string, reference: string, manifest: Descriptor, blobs: readonly Blob[], signal: AbortSignal): Promise<void> {
	const name = wholeReference(reference);
	const index = {
		schemaVersion: 2,
		mediaType: mediaTypes.index,
		manifests: [{
			...manifest, platform,
			// containerd's importer reads the first, everybody else the second.
			annotations: {'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name},
		}],
	};
	const byDigest = new Map(blobs.map((blob) => [blob.digest, blob]));
	const entries: TarEntry[] = [
		{path: 'oci-layout', text: '{"imageLayoutVersion":"1.0.0"}'},
		{path: 'index.json', text: JSON.stringify(index)},
		{path: 'blobs/', folder: true},
		{path: 'blobs/sha256/', folder: true},
		...[...byDigest.keys()].sort().map((digest): TarEntry => {
			const blob = byDigest.get(digest)!;
			const path = `blobs/${digest.replace(':', '/')}`;
			return 'text' in blob ? {path, text: blob.text} : {path, file: blob.file};
		}),
	];
	await writeTar(file, entries, signal);
}
