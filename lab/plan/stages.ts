/** Stages of a plan, and their keys: hashes of what was declared, never of where it is on this computer. */
import {digestOf} from '../host/digest.ts';
import type {ComponentDeclaration, ContainerImageDeclaration} from '../spec/component.ts';
import type {ImageDeclaration} from '../spec/image.ts';
import type {LoadedOverlay} from '../spec/load.ts';
import type {InstalledProgram, Plan, PlannedStage, StageRecipe} from './plan.ts';

/** Hashes of what declarations only point at, by where that is: a local build's programs, a container image's file or Docker's own id of it. */
export type LocalDigests = Readonly<Record<string, string>>;

/** Part of each key: to be raised when the code that makes such a stage changes what it makes. */
const revisions: Readonly<Record<StageRecipe['kind'], number>> = {image: 7, component: 1, modules: 1, 'container-image': 1, layer: 2, disk: 1, 'image-store': 1};

function stage(name: string, needs: readonly PlannedStage[], recipe: StageRecipe, content: unknown): PlannedStage {
	const {kind} = recipe;
	return {name, key: digestOf({kind, revision: revisions[kind], needs: needs.map(({key}) => key), content}), needs: needs.map((need) => need.name), recipe};
}

/** The image, with the packages of all overlays. Its summary and its kernel arguments are not part of what is made. */
export function imageStage(name: string, image: ImageDeclaration, overlays: readonly LoadedOverlay[]): PlannedStage {
	const packages = [...new Set([...image.packages, ...overlays.flatMap(({manifest}) => manifest.packages ?? [])])].sort();
	const {release, kernel, bootModules, exclude, mask} = image;
	return stage(`image ${name}`, [], {kind: 'image', name, image, packages}, {release, kernel, packages, bootModules, exclude, mask});
}

/** Under what id the digest of a component's local build is among the local digests. */
export function localBuildId(component: string, folder: string): string {
	return `${component} in ${folder}`;
}

/** A component. With a folder of the developer's own build, that folder's content is all that counts. */
export function componentStage(component: ComponentDeclaration, overlay: LoadedOverlay, digests: LocalDigests): PlannedStage {
	const {dir, programs, ...rest} = component;
	const names = programs.map(({name}) => name).sort();
	const local = dir === undefined ? undefined : digests[localBuildId(component.name, dir)];
	return stage(
		`component ${component.name}`,
		[],
		{kind: 'component', component, folder: overlay.folder, ...(local !== undefined && {localDigest: local})},
		dir === undefined ? {...rest, names, modules: rest.go === undefined ? undefined : overlay.goDigest} : {name: rest.name, names, dir: local ?? dir},
	);
}

/**
 * The kernel modules of a lab, all together: modprobe knows them by one index, which names the modules of the image as well.
 *
 * @param image the stage of the image that it declares: modules work with the kernel alone that they were built for
 */
export function modulesStage(packages: readonly string[], image: PlannedStage, {release, exclude = []}: ImageDeclaration): PlannedStage {
	return stage(`modules ${packages.join(' ')}`, [image], {kind: 'modules', image: image.name, release, exclude, packages}, {packages});
}

/** Under what id that of an image in the local Docker daemon is among the local digests. */
export function dockerImageId(reference: string): string {
	return `docker ${reference}`;
}

/** What of an image's source decides what it is: what a file or a tag points at, where that is known. */
function sourceContent({reference, source}: ContainerImageDeclaration, digests: LocalDigests): unknown {
	if ('file' in source) {
		return {reference, file: digests[source.file] ?? source.file};
	}

	return 'docker' in source ? {reference, source, id: digests[dockerImageId(source.docker)]} : {reference, source};
}

/** A container image; a recipe's comes after the component whose programs it holds. */
export function containerImageStage(image: ContainerImageDeclaration, from: PlannedStage | undefined, digests: LocalDigests): PlannedStage {
	return stage(
		`container-image ${image.reference}`,
		from === undefined ? [] : [from],
		{kind: 'container-image', image, ...(from !== undefined && {from: from.name})},
		sourceContent(image, digests),
	);
}

/** What goes into a layer. */
export interface LayerParts {
	readonly overlays: readonly LoadedOverlay[];
	readonly components: ReadonlyArray<{readonly stage: PlannedStage; readonly programs: readonly InstalledProgram[]}>;
	readonly images: readonly PlannedStage[];
	readonly modules?: PlannedStage | undefined;
}

/** The one layer of all machines of a role, or of those that something is made in. Those with the same content share a key, and so the file. */
export function layerStage(role: string, {overlays, components, images, modules}: LayerParts): PlannedStage {
	const trees = overlays.filter(({tree}) => tree.length > 0);
	return stage(
		`layer ${role}`,
		[...components.map(({stage: component}) => component), ...images, ...(modules === undefined ? [] : [modules])],
		{
			kind: 'layer',
			role,
			trees: trees.map(({name, folder}) => ({overlay: name, folder: `${folder}/rootfs`})),
			components: components.map(({stage: component, programs}) => ({stage: component.name, programs})),
			images: images.map(({name}) => name),
			...(modules !== undefined && {modules: modules.name}),
		},
		{trees: trees.map(({tree}) => tree), programs: components.map(({programs}) => programs)},
	);
}

/** Whose the layer of the machine is that makes an image store: no role can be called so. */
export const makerLayerRole = 'image store';

/** An empty disk of a size in bytes. */
export function diskStage(size: number): PlannedStage {
	const mebibytes = size / 1024 ** 2;
	return stage(`disk ${mebibytes % 1024 === 0 ? `${mebibytes / 1024}GiB` : `${mebibytes}MiB`}`, [], {kind: 'disk', size}, {size, format: 'qcow2'});
}

/** The store of a lab's container images, from the lab of one machine that makes it. How that machine is booted and watched is no part of what it makes. */
export function imageStoreStage(lab: Plan): PlannedStage {
	return stage('image store', lab.stages, {kind: 'image-store', lab}, lab.machines.map(({files, units, state}) => ({files, units, state})));
}
