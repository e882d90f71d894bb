/**
 * Layers: what overlays add to an image, as one read-only filesystem for all machines of a role. Uncompressed erofs, so
 * that machines map its pages from the host's cache (virtio-pmem with DAX).
 */
import {constants} from 'node:fs';
import {chmod, copyFile, cp, mkdir, stat, truncate} from 'node:fs/promises';
import path from 'node:path';
import {run} from '../host/program.ts';
import type {StageRecipe} from '../plan/plan.ts';
import type {MadeStage, StageWork} from '../store/store.ts';

/** virtio-pmem wants a multiple of this, in bytes. */
export const layerAlignment = 2 * 1024 * 1024;

/** All layers have one time and one id, so that the same content gives the same bytes. */
const epoch = '1700000000';
const filesystemId = '5d1f5f3a-6c1e-4a35-9d5c-7c1b0e5a9d01';

/** The file that a layer has of a container image: `registry.k8s.io/pause:3.10` becomes `registry.k8s.io-pause-3.10.tar`. */
export function imageFileName(reference: string): string {
	return `${reference.replaceAll(/[^\w.-]+/g, '-')}.tar`;
}

/**
 * Makes a layer's stage: layer.erofs, with everything owned by root.
 *
 * @throws `program-failed`, `disk-full`, `interrupted`
 */
export async function makeLayer(recipe: Extract<StageRecipe, {kind: 'layer'}>, needs: ReadonlyMap<string, MadeStage>, work: StageWork): Promise<void> {
	const tree = path.join(work.scratch, 'tree');
	await mkdir(tree);
	for (const {overlay, folder} of recipe.trees) {
		work.progress(`overlay ${overlay}`);
		await cp(folder, tree, {recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE});
	}

	for (const {stage, programs} of recipe.components) {
		for (const {name, path: place, mode = 0o755} of programs) {
			await install(path.join(folderOf(needs, stage), name), path.join(tree, place), mode);
		}
	}

	for (const stage of recipe.images) {
		const reference = stage.replace(/^container-image /, '');
		await install(path.join(folderOf(needs, stage), 'image.tar'), path.join(tree, 'usr/lib/vmlab/images', imageFileName(reference)), 0o644);
	}

	// A folder whose modes follow the umask of whoever checked the project out would make another layer.
	await run('find', [tree, '-type', 'd', '-exec', 'chmod', '0755', '{}', '+'], {log: work.log, signal: work.signal});
	work.progress('mkfs.erofs');
	const file = path.join(work.out, 'layer.erofs');
	await run('mkfs.erofs', ['--quiet', '-T', epoch, '-U', filesystemId, '-E', 'noinline_data', '--all-root', file, tree], {log: work.log, signal: work.signal});
	await truncate(file, Math.ceil((await stat(file)).size / layerAlignment) * layerAlignment);
}

async function install(source: string, target: string, mode: number): Promise<void> {
	await mkdir(path.dirname(target), {recursive: true});
	await copyFile(source, target, constants.COPYFILE_FICLONE);
	await chmod(target, mode);
}

function folderOf(needs: ReadonlyMap<string, MadeStage>, stage: string): string {
	const made = needs.get(stage);
	if (made === undefined) {
		throw new Error(`the layer needs the stage ${stage}, which was not made`);
	}

	return made.folder;
}
