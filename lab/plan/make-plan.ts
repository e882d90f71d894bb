/** Declarations -> plan. Pure: it reads nothing, and two calls with equal declarations give equal plans. */
import {lateChange, lateOptions} from './late-change.ts';
import {failure} from '../host/failure.ts';
import {suggest} from '../host/suggestion.ts';
import type {ImageDeclaration} from '../spec/image.ts';
import type {ClusterAccess, ForwardDeclaration} from '../spec/overlay.ts';
import {problemsOf} from '../spec/schema.ts';
import type {LabMachine, LabTopology} from '../spec/topology.ts';
import {ask} from './answers.ts';
import {chainOf, hasRole, sourceProblems} from './chain.ts';
import {treeProblems} from './files.ts';
import {imageStoreOf, makerOf} from './image-store.ts';
import {impairedLinks} from './links.ts';
import {layOut} from './machines.ts';
import type {Plan} from './plan.ts';
import {planKey} from './plan-key.ts';
import {planMachine} from './planned-machine.ts';
import {type ResolutionInput, type ResolvedOverlay, resolveOverlays} from './resolution.ts';
import type {LocalDigests} from './stages.ts';

/** Everything that a plan is made from. */
export interface PlanInput extends ResolutionInput {
	readonly imageName: string;
	readonly image: ImageDeclaration;
	/** See `localBuildId`; the files of container images are there by their paths. */
	readonly localDigests?: LocalDigests;
	/** The file that declares the lab, for errors. */
	readonly file?: string;
}

/** The name of the image of a lab that does not say. */
export const defaultImage = 'bookworm';

/**
 * Makes the plan of a lab.
 *
 * @throws `bad-declaration` with all problems at once, `overlay-collision`, and what resolveOverlays throws
 */
export function makePlan(input: PlanInput): Plan {
	const {lab} = input;
	const where = input.file === undefined ? undefined : {file: input.file};
	const shape = problemsOf('lab', lab);
	if (shape.length > 0) {
		throw failure.badDeclaration('the lab', shape.map(({text}) => text), where);
	}

	const {overlays, providers, problems: resolutionProblems} = resolveOverlays(input);
	const layout = layOut(lab);
	const {links, problems: linkProblems} = impairedLinks(lab, layout.machines);
	const early = [
		...resolutionProblems, ...layout.problems, ...linkProblems, ...sourceProblems(overlays),
		...roleProblems(overlays, Object.keys(lab.machines)), ...overlays.flatMap(({overlay}) => treeProblems(overlay)),
	];
	if (early.length > 0) {
		// The functions of overlays are not asked about a lab that is wrong: what they would say of it helps nobody.
		throw failure.badDeclaration('the lab', early, where);
	}

	const problems: string[] = [];
	const collisions: string[] = [];
	const replaces = new Map(overlays.map(({overlay}) => [overlay.name, overlay.manifest.replaces ?? []]));

	const roles = [...new Set(layout.machines.map(({role}) => role))];
	// An overlay that no machine has, has nothing to say about the lab.
	const present = overlays.filter(({overlay}) => roles.some((role) => hasRole(overlay, role)));
	const topology: LabTopology = {
		families: layout.families,
		machines: layout.machines.map(({cpus: _cpus, memory: _memory, disk: _disk, entropy: _entropy, ...machine}) => machine),
		networks: layout.networks,
		...layout.ranges,
		options: Object.fromEntries(overlays.map(({overlay, options}) => [overlay.name, options])),
		providers,
		images: [...new Set(present.flatMap(({images}) => images.map(({reference}) => reference)))].sort(),
	};
	const work = {replaces, problems, collisions};
	const maker = makerOf(overlays, providers, roles);
	const chain = chainOf({
		imageName: input.imageName, image: input.image, overlays, roles, replaces, maker,
		disks: layout.machines.map(({disk}) => disk), localDigests: input.localDigests ?? {},
	});
	const imageStore = maker && imageStoreOf(maker, topology, {imageName: input.imageName, image: input.image, chain, work});
	const stages = [...chain, ...(imageStore === undefined ? [] : [imageStore])];
	const machines = layout.machines.map((machine) => planMachine(machine, topology, overlays, {
		image: `image ${input.imageName}`,
		layer: `layer ${machine.role}`,
		disk: stages.find(({recipe}) => recipe.kind === 'disk' && recipe.size === machine.disk)!.name,
		...(imageStore !== undefined && maker !== undefined && hasRole(maker.runtime, machine.role) && {store: imageStore.name}),
	}, work));
	const forwards = [
		...(lab.forwards ?? []),
		...present.flatMap(({overlay, options}) => ask(overlay, 'forwards', '', () => overlay.manifest.forwards?.({lab: topology, options}), problems) ?? []),
	];
	problems.push(...forwardProblems(forwards, topology.machines));
	const access = accessOf(present, topology, forwards, problems);
	const all = [...new Set([...problems, ...collisions])];
	if (all.length > 0) {
		throw problems.length === 0 ? failure.overlayCollision(all) : failure.badDeclaration('the lab', all, where);
	}

	const plan = {
		topology, imageName: input.imageName, image: input.image, overlays: overlays.map(({overlay}) => overlay.name),
		machines, forwards, ...(access !== undefined && {access}), egress: lab.egress ?? false, ...(links.length > 0 && {links}), stages,
	};
	const whole: Plan = {...plan, key: planKey(plan)};
	const late = lateOptions(overlays);
	if (late.settings.length === 0) {
		return whole;
	}

	const change = lateChange(makePlan({...input, settings: [...input.settings ?? [], ...late.settings]}), whole, late.commands);
	return change === undefined ? whole : {...whole, change};
}

function roleProblems(overlays: readonly ResolvedOverlay[], labRoles: readonly string[]): string[] {
	const known = [...new Set(['node', 'router', 'tester', ...labRoles])];
	return overlays.flatMap(({overlay}) => (overlay.manifest.roles ?? []).filter((role) => !known.includes(role)).map((role) => {
		const meant = suggest(role, known);
		return `overlay \`${overlay.name}\`: there is no role \`${role}\`; ${meant === undefined ? `known are ${known.join(', ')}` : `did you mean \`${meant}\`?`}`;
	}));
}

function forwardProblems(forwards: readonly ForwardDeclaration[], machines: readonly LabMachine[]): string[] {
	const known = machines.map(({name}) => name);
	return forwards.flatMap(({name, machine}, index) => [
		...(known.includes(machine) ? [] : [`forward \`${name}\`: there is no machine \`${machine}\`; known are ${known.join(', ')}`]),
		...(forwards.findIndex((other) => other.name === name) === index ? [] : [`forward \`${name}\` is there twice`]),
	]);
}

/** The one way to the cluster. */
function accessOf(overlays: readonly ResolvedOverlay[], lab: LabTopology, forwards: readonly ForwardDeclaration[], problems: string[]): ClusterAccess | undefined {
	const those = overlays.flatMap(({overlay, options}) => {
		const access = ask(overlay, 'access', '', () => overlay.manifest.access?.({lab, options}), problems);
		return access === undefined ? [] : [{overlay: overlay.name, access}];
	});
	if (those.length > 1) {
		problems.push(`overlays ${those.map(({overlay}) => `\`${overlay}\``).join(' and ')} each say how the cluster is reached, and a lab has one cluster`);
	}

	const found = those[0];
	if (found !== undefined && !forwards.some(({name}) => name === found.access.forward)) {
		problems.push(`overlay \`${found.overlay}\`: access goes through forward \`${found.access.forward}\`, which the lab does not have`);
	}

	return found?.access;
}
