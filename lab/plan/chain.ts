/** The chain of a lab: which stages it has, from its overlays and the roles of its machines. */
import type {ComponentDeclaration, ContainerImageDeclaration} from '../spec/component.ts';
import type {ImageDeclaration} from '../spec/image.ts';
import type {LoadedOverlay} from '../spec/load.ts';
import type {Role} from '../spec/topology.ts';
import {type Claim, settle, treeClaims} from './files.ts';
import type {InstalledProgram, PlannedStage} from './plan.ts';
import type {ResolvedOverlay} from './resolution.ts';
import {componentStage, containerImageStage, diskStage, imageStage, layerStage, type LocalDigests, makerLayerRole, modulesStage} from './stages.ts';

/** The machine that makes the image store of a lab. */
export interface StoreMaker {
	/** The lab's container runtime, and what that needs, in order: an edit of any other overlay leaves the store as it is. */
	readonly overlays: readonly ResolvedOverlay[];
	/** The overlay that is the runtime. */
	readonly runtime: LoadedOverlay;
	/** A role that has the runtime. */
	readonly role: Role;
	/** Bytes. */
	readonly disk: number;
}

/** What the chain is made from. */
export interface ChainInput {
	readonly imageName: string;
	readonly image: ImageDeclaration;
	readonly overlays: readonly ResolvedOverlay[];
	/** The roles that have machines. */
	readonly roles: readonly Role[];
	/** Sizes in bytes. */
	readonly disks: readonly number[];
	readonly localDigests: LocalDigests;
	readonly replaces: ReadonlyMap<string, readonly string[]>;
	/** What makes the store of the lab's container images; without it nobody can use them, and none is made. */
	readonly maker?: StoreMaker | undefined;
}

/** Does a role get an overlay? */
export function hasRole(overlay: LoadedOverlay, role: Role): boolean {
	return overlay.manifest.roles?.includes(role) ?? true;
}

function modulePackages({manifest}: LoadedOverlay): readonly string[] {
	return manifest.modulePackages ?? [];
}

/** The programs of an overlay that its layer has, by component. */
function installed({components}: ResolvedOverlay): Array<{component: ComponentDeclaration; programs: InstalledProgram[]}> {
	return components.map((component) => ({component, programs: component.programs.filter((program): program is InstalledProgram => program.path !== undefined)}));
}

/** What an overlay's layer has at which paths: its tree and its programs. */
export function layerClaims(overlay: ResolvedOverlay): Claim[] {
	const {name} = overlay.overlay;
	return [
		...treeClaims(overlay.overlay),
		...installed(overlay).flatMap(({programs}) => programs.map((program): Claim => ({overlay: name, path: program.path, by: 'program'}))),
	];
}

/** What is wrong with the components and container images, taken together. */
export function sourceProblems(overlays: readonly ResolvedOverlay[]): string[] {
	const problems: string[] = [];
	const components = new Map<string, {component: ComponentDeclaration; overlay: string}>();
	const images = new Map<string, {image: ContainerImageDeclaration; overlay: string}>();
	for (const {overlay: {name: overlay}, components: declared} of overlays) {
		for (const component of declared) {
			const other = components.get(component.name);
			if (other !== undefined) {
				problems.push(`component \`${component.name}\` is declared by overlay \`${other.overlay}\` and by \`${overlay}\``);
			}

			components.set(component.name, {component, overlay});
			const names = component.programs.map(({name}) => name);
			const twice = names.find((name, index) => names.indexOf(name) !== index);
			if (twice !== undefined) {
				problems.push(`component \`${component.name}\` of overlay \`${overlay}\` has program \`${twice}\` twice`);
			}
		}
	}

	for (const {overlay: {name: overlay}, images: declared} of overlays) {
		for (const image of declared) {
			const other = images.get(image.reference);
			if (other !== undefined && JSON.stringify(other.image) !== JSON.stringify(image)) {
				problems.push(`container image ${image.reference} is declared by overlay \`${other.overlay}\` and, from another source, by \`${overlay}\``);
			}

			images.set(image.reference, {image, overlay});
			if (!('component' in image.source)) {
				continue;
			}

			const from = components.get(image.source.component)?.component;
			const what = `container image ${image.reference} of overlay \`${overlay}\``;
			if (from === undefined) {
				problems.push(`${what}: there is no component \`${image.source.component}\`; the lab has ${[...components.keys()].sort().join(', ') || 'none'}`);
				continue;
			}

			const known = from.programs.map(({name}) => name);
			problems.push(...Object.keys(image.source.programs ?? {}).filter((program) => !known.includes(program))
				.map((program) => `${what}: component \`${from.name}\` has no program \`${program}\`; it has ${known.join(', ')}`));
		}
	}

	return problems;
}

/** The stages of a lab, each after what it needs. Only what some machine has is in it. */
export function chainOf(input: ChainInput): PlannedStage[] {
	const {overlays, roles, localDigests, maker} = input;
	const byName = (a: PlannedStage, b: PlannedStage): number => (a.name < b.name ? -1 : 1);
	const there = overlays.filter(({overlay}) => roles.some((role) => hasRole(overlay, role)));
	const components = new Map(overlays.flatMap(({overlay, components: declared}) => declared.map((component) => [component.name, componentStage(component, overlay, localDigests)] as const)));
	const images = maker === undefined ? [] : [...new Map(there.flatMap(({images: declared}) => declared.map((image) => [
		image.reference,
		containerImageStage(image, 'component' in image.source ? components.get(image.source.component) : undefined, localDigests),
	] as const))).values()].sort(byName);

	const image = imageStage(input.imageName, input.image, overlays.map(({overlay}) => overlay));
	const sources = [...new Set(there.flatMap(({overlay}) => modulePackages(overlay)))].sort();
	const modules = sources.length === 0 ? undefined : modulesStage(sources, image, input.image);

	const layerOf = (name: string, own: readonly ResolvedOverlay[], content: readonly PlannedStage[]): PlannedStage => {
		const holding = settle(own.flatMap(layerClaims), input.replaces).claims;
		return layerStage(name, {
			overlays: own.map(({overlay}) => overlay),
			components: own.flatMap((overlay) => installed(overlay).map(({component, programs}) => ({
				stage: components.get(component.name)!,
				programs: programs.filter(({path}) => holding.some((claim) => claim.by === 'program' && claim.path === path && claim.overlay === overlay.overlay.name)),
			}))).filter(({programs}) => programs.length > 0),
			images: content,
			modules: own.some(({overlay}) => modulePackages(overlay).length > 0) ? modules : undefined,
		});
	};
	const layers = [
		...roles.map((role) => layerOf(role, there.filter(({overlay}) => hasRole(overlay, role)), [])),
		...(maker === undefined ? [] : [layerOf(makerLayerRole, maker.overlays.filter(({overlay}) => hasRole(overlay, maker.role)), images)]),
	];
	const needed = new Set([...images, ...layers].flatMap(({needs}) => needs));
	return [
		image,
		...(modules === undefined ? [] : [modules]),
		...[...components.values()].filter(({name}) => needed.has(name)).sort(byName),
		...images,
		...layers,
		...[...new Set([...input.disks, ...(maker === undefined ? [] : [maker.disk])])].sort((a, b) => a - b).map(diskStage),
	];
}
