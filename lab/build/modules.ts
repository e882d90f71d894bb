/** Kernel modules that Debian has as source: built for exactly the kernel of an image, in a throw-away root filesystem of its release. */
import {readFile, rename, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {failure} from '../host/failure.ts';
import type {PlannedStage, StageRecipe} from '../plan/plan.ts';
import type {MadeStage, StageWork} from '../store/store.ts';
import {type AptSources, readAptSources} from './image-sources.ts';
import {epoch, type RootfsRequest} from './rootfs.ts';
import {buildRootfs} from './rootfs-builder.ts';

type ModulesRecipe = Extract<StageRecipe, {kind: 'modules'}>;

/** The kernel of an image. */
export interface ImageKernel {
	/** As `uname -r` tells it: '6.1.0-56-cloud-amd64'. */
	readonly release: string;
	/** The Debian package that it is in, and that package's version: '6.1.192-2'. */
	readonly package: string;
	readonly version: string;
}

/** What modules.sh leaves. */
const results = ['modules.tar', 'packages.txt'];

/** In the stage: the kernel that its modules are for, as `describeKernel` gives it. */
const kernelName = 'kernel';

/** With this file dkms builds nothing while packages are installed, for whatever kernel it takes to be running. */
const manual = '/etc/dkms/no-autoinstall';

/**
 * Makes modules.tar, packages.txt (`name=version` lines of what it was built with) and kernel in work.out. From the same versions of the packages
 * the bytes are the same.
 *
 * @throws `modules-failed`, `no-image-builder`, and what `run` throws
 */
export async function makeModules(recipe: ModulesRecipe, needs: ReadonlyMap<string, MadeStage>, work: StageWork): Promise<void> {
	const kernel = await readKernel(recipe, needs);
	const folder = await buildRootfs(modulesRequest(recipe, kernel, await readAptSources(recipe.release, work.signal)), work);
	for (const name of results) {
		await rename(path.join(folder, name), path.join(work.out, name));
	}

	await writeFile(path.join(work.out, kernelName), describeKernel(kernel));
}

/**
 * Looks whether the modules of a plan are for the kernel that its image has. Where an image was lost and made again, the mirror may have had a newer kernel for it.
 *
 * @throws `modules-outdated`
 */
export async function checkModules(stages: readonly PlannedStage[], made: ReadonlyMap<string, MadeStage>): Promise<void> {
	for (const {name, recipe} of stages) {
		const modules = made.get(name);
		if (recipe.kind === 'modules' && modules !== undefined && made.has(recipe.image)) {
			const built = await readFile(path.join(modules.folder, kernelName), 'utf8');
			const there = describeKernel(await readKernel(recipe, made));
			if (built !== there) {
				throw failure.modulesOutdated(name, built, recipe.image, there);
			}
		}
	}
}

async function readKernel({image, packages}: ModulesRecipe, made: ReadonlyMap<string, MadeStage>): Promise<ImageKernel> {
	const stage = made.get(image);
	if (stage === undefined) {
		throw new Error(`${image} was not made before its modules`);
	}

	const kernel = findKernel(await readFile(path.join(stage.folder, 'packages.txt'), 'utf8'));
	if (kernel === undefined) {
		throw failure.modulesFailed(packages, `of "${image}"`, ['the image has no Debian package called linux-image-RELEASE'], 'Modules can be built for the kernels of Debian alone: correct `kernel` of the image.');
	}

	return kernel;
}

/** The kernel among the packages of an image (`name=version` lines); pure. What only names the newest one has no release in its name. */
export function findKernel(packages: string): ImageKernel | undefined {
	const found = /^(linux-image-(\d\S*?)(?:-unsigned)?)=(\S+)$/m.exec(packages);
	return found === null ? undefined : {package: found[1]!, release: found[2]!, version: found[3]!};
}

function describeKernel({release, version}: ImageKernel): string {
	return `${release} (${version})`;
}

/**
 * What modules are built in; pure: the source, dkms with a compiler, the headers of that very kernel, and its own modules, for the index.
 */
export function modulesRequest({release, exclude, packages, image}: ModulesRecipe, kernel: ImageKernel, apt: AptSources): RootfsRequest {
	const headers = `linux-headers-${kernel.release}`;
	return {
		release, exclude, apt,
		packages: [...packages, 'dkms', 'xz-utils', `${kernel.package}=${kernel.version}`, `${headers}=${kernel.version}`],
		marks: [manual],
		script: 'modules.sh',
		configuration: {packages: packages.map((name) => `${name}\n`).join(''), settings: `EPOCH=${epoch}\nKERNEL=${kernel.release}\n`},
		results,
		failed: (...why) => failure.modulesFailed(packages, describeKernel(kernel), ...why),
		hints: [
			[
				new RegExp(String.raw`(?:Unable to locate package|Version .* for|no installation candidate).*linux-(?:headers|image)-|linux-(?:headers|image)-\S+.*no installation candidate`),
				`The mirror has this kernel no longer: it has a newer one, and "${image}" is older. Where no lab runs, \`vmlab cache prune --unused 0s\` removes what was made; then both are made anew, with the newer kernel.`,
			],
			[/Unable to locate package|no installation candidate/, 'The release has no such package: correct `modulePackages` of the overlay.'],
			[/^vmlab: .*no source for dkms/, 'Name a Debian package that has the source of kernel modules for dkms, as those called *-dkms have: correct `modulePackages` of the overlay.'],
			[/^vmlab: /, 'The compiler\'s own words are in the log. A source that is older than the kernel may not fit it: try another image, or a newer package.'],
		],
	};
}
