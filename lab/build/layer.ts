/** The layer of a role: everything that its overlays bring, merged into one read-only filesystem. */
import {constants} from 'node:fs';
import {chmod, copyFile, link, lstat, mkdir, readdir, readlink, rm, symlink} from 'node:fs/promises';
import path from 'node:path';
import {run} from '../host/program.ts';
import type {StageRecipe} from '../plan/plan.ts';
import type {MadeStage, StageWork} from '../store/store.ts';
import {makeErofs} from './erofs.ts';
import {uuidOf} from './rootfs.ts';

/** Where a layer has its container images: a folder each, with an OCI layout (OCI image-spec, image-layout.md). */
export const imageFolder = '/usr/lib/vmlab/images';

/**
 * Makes layer.erofs in work.out: the trees in the order of the recipe (a later file takes the place of an earlier one, which
 * the plan has allowed by then), the programs of components, the container images, unpacked, so that a container runtime
 * can use their blobs where they are, and kernel modules.
 */
export async function makeLayer(recipe: Extract<StageRecipe, {kind: 'layer'}>, needs: ReadonlyMap<string, MadeStage>, work: StageWork): Promise<void> {
	const {signal, log, scratch, out} = work;
	const root = path.join(scratch, 'layer');
	await mkdir(root, {mode: 0o755});
	for (const {folder} of recipe.trees) {
		signal.throwIfAborted();
		await copyTree(folder, root);
	}

	const made = (stage: string): string => {
		const found = needs.get(stage);
		if (found === undefined) {
			throw new Error(`${stage} was not made before the layer of ${recipe.role}`);
		}

		return found.folder;
	};
	for (const {stage, programs} of recipe.components) {
		for (const {name, path: place, mode = 0o755} of programs) {
			await putFile(path.join(made(stage), name), path.join(root, place), mode);
		}
	}

	for (const stage of recipe.images) {
		const folder = path.join(root, imageFolder, layoutName(stage));
		await createFolders(folder);
		await unpack(path.join(made(stage), 'image.tar'), folder, work);
	}

	if (recipe.modules !== undefined) {
		await unpack(path.join(made(recipe.modules), 'modules.tar'), root, work);
	}

	await makeErofs(root, path.join(out, 'layer.erofs'), uuidOf('layer'), {signal, log});
}

/** The name of a container image's folder, from that of its stage: `container-image registry.k8s.io/pause:3.10`. */
export function layoutName(stage: string): string {
	return stage.replace(/^container-image /, '').replaceAll(/[^\w.-]+/g, '_');
}

async function unpack(archive: string, folder: string, {signal, log}: StageWork): Promise<void> {
	await run('tar', ['--extract', '--same-permissions', '--no-same-owner', `--file=${archive}`, `--directory=${folder}`], {signal, log});
}

/** Folders and files without the right of others to write, whatever umask they were created under; links as they are. */
async function copyTree(from: string, to: string): Promise<void> {
	for (const entry of await readdir(from, {withFileTypes: true})) {
		const source = path.join(from, entry.name);
		const target = path.join(to, entry.name);
		if (entry.isDirectory()) {
			await mkdir(target, {recursive: true});
			await chmod(target, (await lstat(source)).mode & 0o7755);
			await copyTree(source, target);
		} else if (entry.isSymbolicLink()) {
			await rm(target, {force: true});
			await symlink(await readlink(source), target);
		} else if (entry.isFile()) {
			await putFile(source, target, (await lstat(source)).mode & 0o7755);
		}
	}
}

/**
 * Puts a file in a tree by a hard link, where its mode allows: in a layer nobody can write anyway, so its owner's right to does not
 * count. Else by a copy that shares its blocks, where the filesystem can.
 */
async function putFile(from: string, to: string, mode: number): Promise<void> {
	await createFolders(path.dirname(to));
	await rm(to, {force: true});
	if (((await lstat(from)).mode & 0o7577) === (mode & 0o7577)) {
		try {
			await link(from, to);
			return;
		} catch (error) {
			// On another filesystem, or somebody else's file (protected_hardlinks).
			if (!['EXDEV', 'EPERM', 'EMLINK'].includes((error as NodeJS.ErrnoException).code ?? '')) {
				throw error;
			}
		}
	}

	await copyFile(from, to, constants.COPYFILE_FICLONE);
	await chmod(to, mode);
}

async function createFolders(folder: string): Promise<void> {
	const first = await mkdir(folder, {recursive: true});
	if (first !== undefined) {
		// Whatever our umask is.
		for (let each = folder; each.length >= first.length; each = path.dirname(each)) {
			await chmod(each, 0o755);
		}
	}
}
