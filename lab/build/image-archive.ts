/**
 * Archives of container images that others wrote: OCI layouts, and what `docker save` writes (docker-archive). Each comes out as
 * an OCI layout of one image, with every blob checked.
 */
import {existsSync} from 'node:fs';
import {open, readFile, realpath} from 'node:fs/promises';
import path from 'node:path';
import {digestFile} from '../host/digest.ts';
import {failure} from '../host/failure.ts';
import {run} from '../host/program.ts';
import {wholeReference} from '../spec/image-reference.ts';
import {type Blob, type Descriptor, fileBlob, type Manifest, mediaTypes, platform, textBlob, writeLayout} from './image-layout.ts';

/** What `docker save` writes of each image into manifest.json. */
interface SavedImage {
	readonly Config: string;
	readonly RepoTags?: readonly string[] | null;
	readonly Layers: readonly string[];
}

interface Index {
	readonly manifests?: readonly Descriptor[];
}

interface ArchiveWork {
	/** An empty folder. */
	readonly scratch: string;
	readonly signal: AbortSignal;
	readonly log: string;
}

/**
 * Rewrites an archive as the layout of its one image, named by the reference.
 *
 * @param archive a tar file, compressed or not
 * @throws `container-image-missing` when it is no such archive, or is damaged, or has several images and none by that name
 */
export async function convertArchive(archive: string, reference: string, out: string, work: ArchiveWork): Promise<void> {
	const {scratch, signal, log} = work;
	try {
		await run('tar', ['--extract', '--file', archive, '--directory', scratch, '--no-same-owner', '--no-same-permissions'], {signal, log});
	} catch (error) {
		if (error instanceof Error && 'code' in error && error.code === 'program-failed') {
			throw unusable(reference, `${archive} cannot be unpacked as a tar archive`, error);
		}

		throw error;
	}

	const content = new ArchiveContent(scratch, archive, reference);
	const {manifest, blobs} = existsSync(path.join(scratch, 'index.json')) ? await content.readLayout() : await content.readSaved();
	await writeLayout(out, reference, manifest, blobs, signal);
}

function unusable(reference: string, reason: string, cause?: unknown): Error {
	return failure.containerImageMissing(reference, reason, 'Give a file that `docker save`, `skopeo copy ... oci-archive:FILE` or `ctr images export` wrote.', [], cause);
}

interface FoundImage {
	readonly manifest: Descriptor;
	readonly blobs: readonly Blob[];
}

class ArchiveContent {
	readonly #folder: string;
	readonly #archive: string;
	readonly #reference: string;

	constructor(folder: string, archive: string, reference: string) {
		this.#folder = folder;
		this.#archive = archive;
		this.#reference = reference;
	}

	/** From an OCI layout. */
	async readLayout(): Promise<FoundImage> {
		const index = await this.#readJson<Index>('index.json');
		const manifest = await this.#chooseImage(index.manifests ?? []);
		const {config, layers} = await this.#readBlob<Manifest>(manifest);
		const {mediaType, digest, size} = manifest;
		const blobs = await Promise.all([manifest, config, ...layers].map(async (descriptor) => ({digest: descriptor.digest, file: await this.#blobFile(descriptor)})));
		return {manifest: {mediaType, digest, size}, blobs};
	}

	/** From what `docker save` wrote. */
	async readSaved(): Promise<FoundImage> {
		if (!existsSync(path.join(this.#folder, 'manifest.json'))) {
			throw this.#fail('has neither index.json (OCI) nor manifest.json (docker-archive)');
		}

		const images = await this.#readJson<readonly SavedImage[]>('manifest.json');
		const wanted = wholeReference(this.#reference);
		const image = images.find(({RepoTags}) => RepoTags?.some((tag) => wholeReference(tag) === wanted) ?? false) ?? (images.length === 1 ? images[0] : undefined);
		if (image === undefined) {
			throw this.#fail(`has ${images.length} images, and none is named ${wanted}: it has ${images.flatMap(({RepoTags}) => RepoTags ?? []).join(', ') || 'no names'}`);
		}

		const config = await fileBlob(mediaTypes.config, await this.#file(image.Config));
		const layers = await Promise.all(image.Layers.map(async (name) => {
			const file = await this.#file(name);
			return fileBlob(await isGzip(file) ? mediaTypes.gzipLayer : mediaTypes.layer, file);
		}));
		await this.#checkLayers(config.blob, layers.map(({descriptor}) => descriptor));
		const manifest: Manifest = {schemaVersion: 2, mediaType: mediaTypes.manifest, config: config.descriptor, layers: layers.map(({descriptor}) => descriptor)};
		const own = textBlob(mediaTypes.manifest, JSON.stringify(manifest));
		return {manifest: own.descriptor, blobs: [own.blob, config.blob, ...layers.map(({blob}) => blob)]};
	}

	/** In a docker-archive, only the config knows what the layers must be: the digests of their uncompressed bytes. */
	async #checkLayers(config: Blob, layers: readonly Descriptor[]): Promise<void> {
		const text = 'text' in config ? config.text : await readFile(config.file, 'utf8');
		const wanted = (this.#parse<{rootfs?: {diff_ids?: readonly string[]}}>(text, 'the image\'s config').rootfs?.diff_ids) ?? [];
		if (wanted.length !== layers.length) {
			throw this.#fail(`is damaged: the image has ${wanted.length} layers and the archive ${layers.length}`);
		}

		layers.forEach(({mediaType, digest}, position) => {
			if (mediaType === mediaTypes.layer && digest !== wanted[position]) {
				throw this.#fail(`is damaged: layer ${position + 1} is ${digest} and should be ${wanted[position]}`);
			}
		});
	}

	/** The manifest of the image for our platform: by its name, or the only one; an image for many platforms is an index of its own. */
	async #chooseImage(descriptors: readonly Descriptor[]): Promise<Descriptor> {
		const wanted = wholeReference(this.#reference);
		const named = (descriptor: Descriptor): string[] => ['io.containerd.image.name', 'org.opencontainers.image.ref.name'].flatMap((key) => descriptor.annotations?.[key] ?? []);
		const byName = descriptors.find((descriptor) => named(descriptor).some((name) => name.includes('/') || name.includes(':') ? wholeReference(name) === wanted : wanted.endsWith(`:${name}`)));
		const forUs = descriptors.filter((descriptor) => descriptor.platform?.architecture === platform.architecture && descriptor.platform.os === platform.os);
		const chosen = byName ?? (descriptors.length === 1 ? descriptors[0] : forUs.length === 1 ? forUs[0] : undefined);
		if (chosen === undefined) {
			throw this.#fail(`has ${descriptors.length} images, and it is not clear which one is ${wanted}: it has ${descriptors.flatMap(named).join(', ') || 'no names'}`);
		}

		if (!/index|manifest\.list/.test(chosen.mediaType)) {
			return chosen;
		}

		const inner = (await this.#readBlob<Index>(chosen)).manifests ?? [];
		const match = inner.find((descriptor) => descriptor.platform?.architecture === platform.architecture && descriptor.platform.os === platform.os) ?? (inner.length === 1 ? inner[0] : undefined);
		if (match === undefined) {
			throw this.#fail(`has the image for ${inner.map((descriptor) => `${descriptor.platform?.os}/${descriptor.platform?.architecture}`).join(', ') || 'no platform'}, and not for ${platform.os}/${platform.architecture}`);
		}

		return match;
	}

	async #readBlob<Content>(descriptor: Descriptor): Promise<Content> {
		return this.#parse<Content>(await readFile(await this.#blobFile(descriptor), 'utf8'), descriptor.digest);
	}

	/** The file of a blob, its digest checked. */
	async #blobFile({digest}: Descriptor): Promise<string> {
		if (!/^sha256:[\da-f]{64}$/.test(digest)) {
			throw this.#fail(`has a digest of another kind than sha256: ${digest}`);
		}

		const file = await this.#file(`blobs/${digest.replace(':', '/')}`);
		const found = `sha256:${await digestFile(file)}`;
		if (found !== digest) {
			throw this.#fail(`is damaged: the blob ${digest} is ${found}`);
		}

		return file;
	}

	/** A file of the archive; older versions of Docker save the same layer a second time as a link. None may lead out of it. */
	async #file(name: string): Promise<string> {
		const [root, file] = await Promise.all([realpath(this.#folder), realpath(path.join(this.#folder, name)).catch(() => undefined)]);
		if (file === undefined || !file.startsWith(`${root}/`)) {
			throw this.#fail(`is damaged: it has no ${name}`);
		}

		return file;
	}

	async #readJson<Content>(name: string): Promise<Content> {
		return this.#parse<Content>(await readFile(await this.#file(name), 'utf8'), name);
	}

	#parse<Content>(text: string, what: string): Content {
		try {
			return JSON.parse(text) as Content;
		} catch (error) {
			throw this.#fail(`is damaged: ${what} is no JSON`, error);
		}
	}

	#fail(problem: string, cause?: unknown): Error {
		return unusable(this.#reference, `${this.#archive} ${problem}`, cause);
	}
}

async function isGzip(file: string): Promise<boolean> {
	const handle = await open(file, 'r');
	try {
		const {buffer} = await handle.read(Buffer.alloc(2), 0, 2, 0);
		return buffer[0] === 0x1f && buffer[1] === 0x8b;
	} finally {
		await handle.close();
	}
}
