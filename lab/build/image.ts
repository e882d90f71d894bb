/** Images: a kernel, an initramfs and a root filesystem, from Debian packages. */
import {rename} from 'node:fs/promises';
import path from 'node:path';
import {failure} from '../host/failure.ts';
import type {StageRecipe} from '../plan/plan.ts';
import type {StageWork} from '../store/store.ts';
import {type AptSources, readAptSources} from './image-sources.ts';
import {makeInitramfs} from './initramfs.ts';
import {epoch, type RootfsRequest, uuidOf} from './rootfs.ts';
import {buildRootfs} from './rootfs-builder.ts';

/** Not asked for by anybody, but needed to make an image: the maker of its filesystem and of its initramfs, and an init. */
const ownPackages = ['busybox-static', 'erofs-utils', 'systemd-sysv', 'xz-utils'];

/** What rootfs.sh leaves: the files of the stage, and what the initramfs is made from. */
const results = ['root.erofs', 'vmlinuz', 'packages.txt'];
const bootArchive = 'boot.tar';

/**
 * Makes vmlinuz, initramfs, root.erofs (uncompressed, a multiple of 2 MiB) and packages.txt (`name=version` lines) in
 * work.out. From the same versions of the packages, whoever makes them makes the same bytes.
 *
 * @throws `image-failed`, `no-image-builder`, `unknown-kernel-module`, and what `run` throws
 */
export async function makeImage(recipe: Extract<StageRecipe, {kind: 'image'}>, work: StageWork): Promise<void> {
	const {image: {bootModules, release}} = recipe;
	const folder = await buildRootfs(imageRequest(recipe, await readAptSources(release, work.signal)), work);
	work.progress('making the initramfs');
	await makeInitramfs(path.join(folder, bootArchive), bootModules, work);
	for (const name of results) {
		await rename(path.join(folder, name), path.join(work.out, name));
	}
}

/** What the root filesystem of an image is made of; pure. */
export function imageRequest({image, packages: all}: Pick<Extract<StageRecipe, {kind: 'image'}>, 'image' | 'packages'>, apt: AptSources): RootfsRequest {
	const {release, kernel, bootModules, exclude = [], mask = []} = image;
	const packages = [...new Set([...all, kernel])];
	const lines = (text: readonly string[]): string => text.map((line) => `${line}\n`).join('');
	return {
		release, exclude, apt,
		packages: [...packages, ...ownPackages],
		script: 'rootfs.sh',
		configuration: {mask: lines(mask), modules: lines(bootModules), settings: lines([`EPOCH=${epoch}`, `UUID=${uuidOf({release, packages})}`])},
		results: [...results, bootArchive],
		failed: (...why) => failure.imageFailed(release, ...why),
	};
}
