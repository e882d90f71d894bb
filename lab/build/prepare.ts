/** From a lab's declaration to its plan: loads what the plan needs, and looks at what declarations point at. */
import {existsSync} from 'node:fs';
import {homedir} from 'node:os';
import path from 'node:path';
import {digestOf} from '../host/digest.ts';
import {LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import type {LabDeclaration} from '../spec/lab.ts';
import {type DeclarationRoots, declarationRoots, listOverlays, loadImage, type LoadedOverlay, loadOverlay} from '../spec/load.ts';
import {problemsOf} from '../spec/schema.ts';
import {defaultImage, makePlan, type PlanInput} from '../plan/make-plan.ts';
import {parseSetting} from '../plan/options.ts';
import type {Plan} from '../plan/plan.ts';
import {missingOverlays, resolveOverlays, type ResolvedOverlay} from '../plan/resolution.ts';
import {dockerImageId, localBuildId} from '../plan/stages.ts';
import {digestFiles} from './file-digest.ts';

/** What a plan is prepared with. */
export interface PrepareOptions {
	/** Default: the user's folder and the package. */
	readonly roots?: DeclarationRoots;
	/** As on the command line: `overlay.option=value`. Later ones win. */
	readonly settings?: readonly string[];
	/** The file that declares the lab, for errors. */
	readonly file?: string;
	/** For `VMLAB_KUBERNETES_DIR` and its like. Default: our own. */
	readonly environment?: NodeJS.ProcessEnv;
}

/**
 * The plan of a lab.
 *
 * @throws `bad-setting` (exit code 2) where a lab is refused that without `settings` would be none: no file is to be corrected; declaration errors (exit code 3): those of loading and of makePlan, and folders or files that are not there;
 * `local-build-incomplete` (exit code 5) for a folder that has none of the programs that it is named for
 */
export async function preparePlan(lab: LabDeclaration, options: PrepareOptions = {}): Promise<Plan> {
	const {settings = [], ...declared} = options;
	try {
		return await planWith(lab, options);
	} catch (error) {
		if (settings.length === 0 || !(error instanceof LabError) || error.code !== 'bad-declaration' || await planWith(lab, declared).then(() => false, () => true)) {
			throw error;
		}

		throw failure.badSettings(error.details ?? []);
	}
}

async function planWith(lab: LabDeclaration, options: PrepareOptions): Promise<Plan> {
	const {roots = declarationRoots(), environment = process.env, file} = options;
	const shape = problemsOf('lab', lab);
	if (shape.length > 0) {
		throw failure.badDeclaration('the lab', shape.map(({text}) => text), file === undefined ? undefined : {file});
	}

	const known = await listOverlays(roots);
	const imageName = lab.image ?? defaultImage;
	const [{image}, input] = await Promise.all([
		loadImage(imageName, roots),
		loadNeeded({lab, known, settings: options.settings ?? []}, roots, environment),
	]);
	const whole: PlanInput = {...input, imageName, image, ...(file !== undefined && {file})};
	return makePlan({...whole, localDigests: await digestLocal(resolveOverlays(whole).overlays)});
}

/** Loads the overlays that a lab lists, and then, as long as there are some, those that they need. */
async function loadNeeded(
	wanted: {lab: LabDeclaration; known: readonly string[]; settings: readonly string[]},
	roots: DeclarationRoots,
	environment: NodeJS.ProcessEnv,
): Promise<{lab: LabDeclaration; known: readonly string[]; settings: readonly string[]; overlays: LoadedOverlay[]}> {
	const overlays: LoadedOverlay[] = [];
	for (;;) {
		const input = {...withFolders(wanted, overlays, environment), overlays};
		const {needed, helpful} = missingOverlays(input);
		if (needed.length === 0) {
			// One of them that is broken is not what is wrong with this lab.
			const loaded = await Promise.allSettled(helpful.map(async (name) => loadOverlay(name, roots)));
			return {...input, overlays: [...overlays, ...loaded.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))]};
		}

		overlays.push(...await Promise.all(needed.map(async (name) => loadOverlay(name, roots))));
	}
}

/**
 * The settings, with those that the environment has for local builds in front, and all folders as whole paths, where they are
 * from the command line and where the lab declares them. `VMLAB_ETCD_DIR` is `--set etcd.dir=`, where the lab has that overlay.
 */
function withFolders<Wanted extends {lab: LabDeclaration; settings: readonly string[]}>(wanted: Wanted, overlays: readonly LoadedOverlay[], environment: NodeJS.ProcessEnv): Wanted {
	const {lab, settings} = wanted;
	const isFolder = (name: string, option: string): boolean => overlays.find((overlay) => overlay.name === name)?.manifest.options?.[option]?.kind === 'folder';
	const fromEnvironment = overlays.filter(({name}) => isFolder(name, 'dir')).flatMap(({name}) => {
		const folder = environment[`VMLAB_${name.toUpperCase().replaceAll('-', '_')}_DIR`];
		return folder === undefined || folder === '' ? [] : [`${name}.dir=${folder}`];
	});
	const options = Object.fromEntries(Object.entries(lab.options ?? {}).map(([name, declared]) => [name, Object.fromEntries(Object.entries(declared).map(
		([option, value]) => [option, isFolder(name, option) && typeof value === 'string' ? wholePath(value, environment) : value],
	))]));
	return {
		...wanted,
		...(lab.options !== undefined && {lab: {...lab, options}}),
		settings: [...fromEnvironment, ...settings].map((text) => {
			const {overlay, option, value} = parseSetting(text);
			return isFolder(overlay, option) ? `${overlay}.${option}=${wholePath(value, environment)}` : text;
		}),
	};
}

/** The shell leaves a `~` alone that is not at the start of a word; ours to replace. No folder stays none. */
function wholePath(folder: string, environment: NodeJS.ProcessEnv): string {
	return folder === '' ? '' : path.resolve(folder.replace(/^~(?=\/|$)/, environment['HOME'] || homedir()));
}

/** The digests of local builds (the named programs in their folders), of container images' files, and of Docker's images. */
async function digestLocal(overlays: readonly ResolvedOverlay[]): Promise<Record<string, string>> {
	const builds = overlays.flatMap(({components}) => components.flatMap(({name, dir, programs}) =>
		(dir === undefined ? [] : [{id: localBuildId(name, dir), name, dir, programs: programs.map((program) => program.name).sort()}])));
	const images = overlays.flatMap(({images: declared}) => declared.flatMap(({source}) => ('file' in source ? [source.file] : [])));
	for (const {dir} of builds) {
		if (!existsSync(dir)) {
			throw failure.badValue('folder', dir, 'the path of a folder that has the programs of your own build');
		}
	}

	const saved = overlays.flatMap(({images: declared}) => declared.flatMap(({source}) => ('docker' in source ? [source.docker] : [])));
	const digests = await digestFiles([...new Set([...builds.flatMap(({dir, programs}) => programs.map((name) => path.join(dir, name))), ...images])]);
	for (const {name, dir, programs} of builds) {
		// Some of them may come while others are built; a folder that has none is not the one that was meant.
		if (!programs.some((program) => digests.has(path.join(dir, program)))) {
			throw failure.localBuildIncomplete(name, dir, programs.map((program) => `${program} is missing`));
		}
	}

	const absent = images.find((image) => !digests.has(image));
	if (absent !== undefined) {
		throw failure.badValue('file', absent, 'the path of an OCI or docker-archive tar');
	}

	return Object.fromEntries([
		...builds.map(({id, dir, programs}) => [id, digestOf(programs.map((name) => [name, digests.get(path.join(dir, name)) ?? 'missing']))] as const),
		...images.map((image) => [image, digests.get(image)!] as const),
		...await dockerIds(saved),
	]);
}

/** What the Docker daemon has under these references now; it is asked only where a lab wants something of it. */
async function dockerIds(references: readonly string[]): Promise<Array<readonly [string, string]>> {
	if (references.length === 0) {
		return [];
	}

	const {imageId} = await import('./docker-image.ts');
	const ids = await Promise.all(references.map(async (reference) => ({reference, id: await imageId(reference)})));
	return ids.flatMap(({reference, id}) => (id === undefined ? [] : [[dockerImageId(reference), id] as const]));
}
