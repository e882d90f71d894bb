/** Images: a kernel, an initramfs and a root filesystem, from Debian packages. */
import {mkdir, rename} from 'node:fs/promises';
import path from 'node:path';
import {failure} from '../host/failure.ts';
import type {StageRecipe} from '../plan/plan.ts';
import type {StageWork} from '../store/store.ts';
import {readAptSources} from './image-sources.ts';
import {makeInitramfs} from './initramfs.ts';
import {buildWithMmdebstrap, canRunMmdebstrap, type RootfsBuilder, rootfsResults, writeConfiguration} from './rootfs.ts';

/** The builders that `VMLAB_IMAGE_BUILDER` may name. */
const builderNames = ['mmdebstrap', 'docker'];

/**
 * Makes vmlinuz, initramfs, root.erofs (uncompressed, a multiple of 2 MiB) and packages.txt (`name=version` lines) in
 * work.out. From the same versions of the packages, whoever makes them makes the same bytes.
 *
 * @throws `image-failed`, `no-image-builder`, `unknown-kernel-module`, and what `run` throws
 */
export async function makeImage(recipe: Extract<StageRecipe, {kind: 'image'}>, work: StageWork): Promise<void> {
	const {image} = recipe;
	const build = await chooseBuilder(work.signal);
	const request = {
		release: image.release,
		packages: [...new Set([...recipe.packages, image.kernel])],
		exclude: image.exclude ?? [],
		mask: image.mask ?? [],
		bootModules: image.bootModules,
		apt: await readAptSources(image.release, work.signal),
	};
	const configuration = path.join(work.scratch, 'configuration');
	const results = path.join(work.scratch, 'results');
	await Promise.all([writeConfiguration(configuration, request), mkdir(results)]);
	await build(request, configuration, results, work);
	work.progress('making the initramfs');
	await makeInitramfs(path.join(results, 'boot.tar'), image.bootModules, work);
	for (const name of rootfsResults.filter((name) => name !== 'boot.tar')) {
		await rename(path.join(results, name), path.join(work.out, name));
	}
}

/** The builder that was asked for, or the first that works here. */
async function chooseBuilder(signal: AbortSignal): Promise<RootfsBuilder> {
	const asked = process.env['VMLAB_IMAGE_BUILDER'];
	if (asked !== undefined && asked !== '' && !builderNames.includes(asked)) {
		throw failure.unknownName('image builder', asked, builderNames);
	}

	if (asked === 'mmdebstrap' || (asked !== 'docker' && await canRunMmdebstrap(signal))) {
		return buildWithMmdebstrap;
	}

	const {buildWithDocker, canRunDocker} = await import('./docker-builder.ts');
	if (asked === 'docker' || await canRunDocker()) {
		return buildWithDocker;
	}

	throw failure.noImageBuilder();
}
