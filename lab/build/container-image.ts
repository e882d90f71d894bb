/** Container images: from a recipe, a file, or the local Docker daemon, each as out/image.tar, an OCI layout of that one image. */
import {mkdir} from 'node:fs/promises';
import path from 'node:path';
import type {StageRecipe} from '../plan/plan.ts';
import type {ContainerImageSource} from '../spec/component.ts';
import type {MadeStage, StageWork} from '../store/store.ts';
import {convertArchive} from './image-archive.ts';
import {fileBlob, type Manifest, mediaTypes, platform, textBlob, writeLayout} from './image-layout.ts';
import {archiveTime, type TarEntry, writeTar} from './tar.ts';

type RecipeSource = Extract<ContainerImageSource, {component: string}>;

/** The name of what is made. */
export const imageName = 'image.tar';

/**
 * Makes a container image's stage.
 *
 * @param needs the component's stage, for a recipe
 * @throws `container-image-missing` when the file or the daemon does not have it; `disk-full`; `interrupted`
 */
export async function makeContainerImage(recipe: Extract<StageRecipe, {kind: 'container-image'}>, needs: ReadonlyMap<string, MadeStage>, work: StageWork): Promise<void> {
	const {reference, source} = recipe.image;
	const out = path.join(work.out, imageName);
	const {scratch, signal, log} = work;
	if ('component' in source) {
		const component = needs.get(recipe.from ?? '');
		if (component === undefined) {
			throw new Error(`${reference} is made from ${recipe.from ?? 'no stage'}, which was not made`);
		}

		await assemble(source, reference, component.folder, out, work);
		return;
	}

	const content = path.join(scratch, 'content');
	await mkdir(content);
	if ('file' in source) {
		work.progress(`from ${source.file}`);
		await convertArchive(source.file, reference, out, {scratch: content, signal, log});
		return;
	}

	const {saveImage} = await import('./docker-image.ts');
	const archive = path.join(scratch, 'saved.tar');
	await saveImage(source.docker, archive, work);
	await convertArchive(archive, reference, out, {scratch: content, signal, log});
}

/** An image of one layer, uncompressed: it is imported in guests, where unpacking costs more than room. */
async function assemble(source: RecipeSource, reference: string, programs: string, out: string, {scratch, signal}: StageWork): Promise<void> {
	const layerFile = path.join(scratch, 'layer.tar');
	await writeTar(layerFile, layerEntries(source, programs), signal);
	const layer = await fileBlob(mediaTypes.layer, layerFile);
	const config = textBlob(mediaTypes.config, JSON.stringify(imageConfig(source, layer.descriptor.digest)));
	const manifest: Manifest = {schemaVersion: 2, mediaType: mediaTypes.manifest, config: config.descriptor, layers: [layer.descriptor]};
	const own = textBlob(mediaTypes.manifest, JSON.stringify(manifest));
	await writeLayout(out, reference, own.descriptor, [own.blob, config.blob, layer.blob], signal);
}

/** What is in the layer, sorted, each folder before what is in it; pure. Paths in images are absolute, in layers relative. */
export function layerEntries({programs, links = {}}: Pick<RecipeSource, 'programs' | 'links'>, folder: string): TarEntry[] {
	const entries: TarEntry[] = [
		...Object.entries(programs).map(([name, place]) => ({path: place.replace(/^\/+/, ''), file: path.join(folder, name), mode: 0o755})),
		...Object.entries(links).map(([place, link]) => ({path: place.replace(/^\/+/, ''), link})),
	];
	const folders = new Set(entries.flatMap(({path: place}) => place.split('/').slice(0, -1).map((_, index, parts) => `${parts.slice(0, index + 1).join('/')}/`)));
	return [...entries, ...[...folders].map((place): TarEntry => ({path: place, folder: true}))].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The image's configuration (OCI image-spec, config.md); pure. */
export function imageConfig({entrypoint, command, environment = {}, user}: Omit<RecipeSource, 'component' | 'programs'>, layer: string): unknown {
	const created = new Date(archiveTime).toISOString();
	const variables = {PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...environment};
	return {
		created,
		...platform,
		config: {
			...(user !== undefined && {User: user}),
			Env: Object.entries(variables).map(([name, value]) => `${name}=${value}`),
			Entrypoint: entrypoint,
			...(command !== undefined && {Cmd: command}),
			WorkingDir: '/',
		},
		rootfs: {type: 'layers', diff_ids: [layer]},
		history: [{created, created_by: 'vmlab'}],
	};
}
