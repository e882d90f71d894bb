/** From what a lab lists to the overlays that it has, each with its options. */
import path from 'node:path';
import {failure} from '../host/failure.ts';
import type {ComponentDeclaration, ContainerImageDeclaration} from '../spec/component.ts';
import type {LabDeclaration} from '../spec/lab.ts';
import type {LoadedOverlay} from '../spec/load.ts';
import {allowedValues} from '../spec/option.ts';
import {ask} from './answers.ts';
import {parseSetting, resolveOptions, type ResolvedOptions, type Setting} from './options.ts';
import {closeOverNeeds, orderOverlays, type OverlayNode} from './overlay-order.ts';

/** What overlays are resolved from. */
export interface ResolutionInput {
	readonly lab: LabDeclaration;
	/** All that the lab has or may need; more do no harm. */
	readonly overlays: readonly LoadedOverlay[];
	/** The names of all overlays that there are, loaded or not. Default: those loaded. */
	readonly known?: readonly string[];
	/** As on the command line: `overlay.option=value`. */
	readonly settings?: readonly string[];
}

/** An overlay of a lab. */
export interface ResolvedOverlay {
	readonly overlay: LoadedOverlay;
	readonly options: ResolvedOptions;
	/** Names of overlays. */
	readonly needs: readonly string[];
	readonly components: readonly ComponentDeclaration[];
	readonly images: readonly ContainerImageDeclaration[];
}

/** The overlays of a lab, in order. */
export interface Resolution {
	readonly overlays: readonly ResolvedOverlay[];
	readonly providers: Readonly<Record<string, string>>;
	/** Sentences. */
	readonly problems: readonly string[];
}

interface Candidate {
	readonly overlay: LoadedOverlay;
	readonly options: ResolvedOptions;
	readonly node: OverlayNode;
	readonly problems: readonly string[];
}

/** Each overlay with its options, and so its needs. */
function candidates({lab, overlays}: ResolutionInput, settings: readonly Setting[]): Candidate[] {
	return overlays.map((overlay) => {
		const {manifest, name} = overlay;
		const {options, problems} = resolveOptions(name, manifest, lab.options?.[name] ?? {}, settings);
		const {needs} = manifest;
		const answer = ask(overlay, 'needs', '', () => (typeof needs === 'function' ? needs(options) : needs), problems);
		return {overlay, options, node: {name, provides: manifest.provides ?? [], needs: answer ?? []}, problems};
	});
}

/** Overlays that are not loaded yet. */
export interface MissingOverlays {
	/** The lab has them. */
	readonly needed: readonly string[];
	/** None is needed, but a need is met by nobody: these may be able to, and then the error can say so. */
	readonly helpful: readonly string[];
}

/** What is to be loaded before resolveOverlays can tell everything. */
export function missingOverlays(input: ResolutionInput): MissingOverlays {
	const known = input.known ?? [];
	const loaded = new Map(candidates(input, (input.settings ?? []).map(parseSetting)).map((candidate) => [candidate.node.name, candidate.node]));
	const names = closeOverNeeds(input.lab.overlays, (name) => loaded.get(name), (name) => known.includes(name));
	const needed = names.filter((name) => !loaded.has(name));
	const nodes = names.flatMap((name) => loaded.get(name) ?? []);
	const provided = new Set([...names, ...nodes.flatMap(({provides}) => provides)]);
	const open = needed.length === 0 && nodes.some(({needs}) => needs.some((need) => !provided.has(need)));
	return {needed, helpful: open ? known.filter((name) => !loaded.has(name)) : []};
}

/**
 * The overlays of a lab, in order, with their options and what they declare by these alone.
 *
 * @throws `bad-declaration` where an option names no overlay of those that it may name; those of orderOverlays. What can be told together is in `problems`
 */
export function resolveOverlays(input: ResolutionInput): Resolution {
	const settings = (input.settings ?? []).map(parseSetting);
	const known = input.known ?? input.overlays.map(({name}) => name).sort();
	const all = candidates(input, settings);
	const choices = capabilityProblems(input.lab.overlays, all, known);
	if (choices.length > 0) {
		// Told before the needs that follow from them: those would blame the overlay that asks.
		throw failure.badDeclaration('the lab', choices);
	}

	const {names, providers} = orderOverlays(input.lab.overlays, all.map(({node}) => node), known);
	const problems: string[] = [];
	for (const name of new Set(settings.map(({overlay}) => overlay))) {
		if (!names.includes(name)) {
			problems.push(`--set ${name}: overlay \`${name}\` is not part of the lab, which has ${names.join(', ')}`);
		}
	}

	for (const name of Object.keys(input.lab.options ?? {})) {
		if (!known.includes(name)) {
			problems.push(`the lab's options: there is no overlay \`${name}\`; known are ${known.join(', ')}`);
		}
	}

	const overlays = names.map((name): ResolvedOverlay => {
		const {overlay, options, node, problems: own} = all.find((candidate) => candidate.node.name === name)!;
		problems.push(...own);
		const {manifest} = overlay;
		const components = ask(overlay, 'components', '', () => manifest.components?.(options), problems) ?? [];
		const images = ask(overlay, 'images', '', () => manifest.images?.(options), problems) ?? [];
		return {overlay, options, needs: node.needs.map((need) => providers[need] ?? need), components: components.map(withoutEmptyFolder), images: images.map((image) => withWholePath(image, overlay.folder))};
	});
	return {overlays, providers, problems};
}

/** Options that are to name an overlay which provides something, and name none. */
function capabilityProblems(listed: readonly string[], all: readonly Candidate[], known: readonly string[]): string[] {
	const byName = new Map(all.map((candidate) => [candidate.node.name, candidate]));
	const names = closeOverNeeds(listed, (name) => byName.get(name)?.node, (name) => known.includes(name));
	return names.flatMap((name) => byName.get(name) ?? []).flatMap(({overlay: {name, manifest}, options}) => Object.entries(manifest.options ?? {}).flatMap(([option, declared]) => {
		const {capability} = declared;
		const value = String(options[option]);
		const providers = capability === undefined ? [] : all.filter(({node}) => node.provides.includes(capability)).map(({node}) => node.name).sort();
		return capability === undefined || providers.includes(value)
			? []
			: [`\`${name}.${option}\` must be ${allowedValues(declared)} (${providers.length === 0 ? 'there is none' : providers.join(', ')}), not \`${value}\``];
	}));
}

/** An option's default can only be a text: an empty folder is none. */
function withoutEmptyFolder(component: ComponentDeclaration): ComponentDeclaration {
	const {dir, ...rest} = component;
	return dir === undefined || dir === '' ? rest : component;
}

/** A container image's file is found from the overlay's folder. */
function withWholePath(image: ContainerImageDeclaration, folder: string): ContainerImageDeclaration {
	return 'file' in image.source ? {...image, source: {file: path.resolve(folder, image.source.file)}} : image;
}
