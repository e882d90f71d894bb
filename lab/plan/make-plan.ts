/** Declarations -> plan. Pure: it reads nothing, and two calls with equal declarations give equal plans. */
import {lateChange, lateOptions} from './late-change.ts';
import {digestOf} from '../host/digest.ts';
import {failure} from '../host/failure.ts';
import {suggest} from '../host/suggestion.ts';
import type {ImageDeclaration} from '../spec/image.ts';
import type {ClusterAccess, ForwardDeclaration} from '../spec/overlay.ts';
import {problemsOf} from '../spec/schema.ts';
import type {LabMachine, LabTopology, MachineContext, Route} from '../spec/topology.ts';
import {isAddress, parseSubnet} from './addresses.ts';
import {ask} from './answers.ts';
import {chainOf, hasRole, layerClaims, sourceProblems} from './chain.ts';
import {type Claim, generatedPaths, kernelFiles, settle, treeProblems} from './files.ts';
import {defaultRoutes, layOut, type SizedMachine} from './machines.ts';
import type {Plan, PlannedMachine, PlannedStage} from './plan.ts';
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
	const early = [
		...resolutionProblems, ...layout.problems, ...sourceProblems(overlays),
		...roleProblems(overlays, Object.keys(lab.machines)), ...overlays.flatMap(({overlay}) => treeProblems(overlay)),
	];
	if (early.length > 0) {
		// The functions of overlays are not asked about a lab that is wrong: what they would say of it helps nobody.
		throw failure.badDeclaration('the lab', early, where);
	}

	const problems: string[] = [];
	const collisions: string[] = [];
	const replaces = new Map(overlays.map(({overlay}) => [overlay.name, overlay.manifest.replaces ?? []]));

	const topology: LabTopology = {
		families: layout.families,
		machines: layout.machines.map(({cpus: _cpus, memory: _memory, disk: _disk, ...machine}) => machine),
		networks: layout.networks,
		...layout.ranges,
		options: Object.fromEntries(overlays.map(({overlay, options}) => [overlay.name, options])),
		providers,
		images: [...new Set(overlays.flatMap(({images}) => images.map(({reference}) => reference)))].sort(),
	};
	const roles = [...new Set(layout.machines.map(({role}) => role))];
	const stages = chainOf({
		imageName: input.imageName, image: input.image, overlays, roles, replaces,
		disks: layout.machines.map(({disk}) => disk), localDigests: input.localDigests ?? {},
	});
	const machines = layout.machines.map((machine) => planMachine(machine, topology, overlays, {stages, replaces, problems, collisions, imageName: input.imageName}));
	// An overlay that no machine has, has nothing to say about the lab.
	const present = overlays.filter(({overlay}) => roles.some((role) => hasRole(overlay, role)));
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
		machines, forwards, ...(access !== undefined && {access}), egress: lab.egress ?? false, stages,
	};
	const whole: Plan = {...plan, key: keyOf(plan)};
	const late = lateOptions(overlays);
	if (late.settings.length === 0) {
		return whole;
	}

	const change = lateChange(makePlan({...input, settings: [...input.settings ?? [], ...late.settings]}), whole, late.commands);
	return change === undefined ? whole : {...whole, change};
}

/**
 * Options count only by what they lead to: a path among them would make equal labs differ. How the host reaches the lab, and what it collects of it,
 * is not part of the lab.
 */
function keyOf({topology: {options: _options, ...topology}, ...plan}: Omit<Plan, 'key'>): string {
	const {egress, overlays, image: {kernelArguments}} = plan;
	const machines = plan.machines.map(({evidence: _evidence, ...machine}) => machine);
	const stages = plan.stages.map(({name, key}) => [name, key]);
	return digestOf({topology, machines, egress, overlays, kernelArguments, stages});
}

function roleProblems(overlays: readonly ResolvedOverlay[], labRoles: readonly string[]): string[] {
	const known = [...new Set(['node', 'router', 'tester', ...labRoles])];
	return overlays.flatMap(({overlay}) => (overlay.manifest.roles ?? []).filter((role) => !known.includes(role)).map((role) => {
		const meant = suggest(role, known);
		return `overlay \`${overlay.name}\`: there is no role \`${role}\`; ${meant === undefined ? `known are ${known.join(', ')}` : `did you mean \`${meant}\`?`}`;
	}));
}

interface MachineWork {
	readonly stages: readonly PlannedStage[];
	readonly replaces: ReadonlyMap<string, readonly string[]>;
	readonly imageName: string;
	readonly problems: string[];
	readonly collisions: string[];
}

/** One machine, with what its overlays say about it. */
function planMachine(machine: SizedMachine, lab: LabTopology, overlays: readonly ResolvedOverlay[], work: MachineWork): PlannedMachine {
	const {problems, collisions, replaces} = work;
	const seen = lab.machines.find(({name}) => name === machine.name)!;
	const own = overlays.filter(({overlay}) => hasRole(overlay, machine.role));
	const contextOf = (routes: readonly Route[], options: ResolvedOverlay['options']): MachineContext => ({machine: seen, lab, options, routes});
	const routes = routesOf(seen, lab, own.flatMap(({overlay, options}) =>
		(ask(overlay, 'routes', machine.name, () => overlay.manifest.routes?.(contextOf([], options)), problems) ?? []).map((route) => ({overlay: overlay.name, route}))), work);

	const answers = own.map(({overlay, options}) => {
		const {manifest, name} = overlay;
		const context = contextOf(routes, options);
		return {
			overlay: name,
			kernel: ask(overlay, 'kernel', machine.name, () => manifest.kernel?.(context), problems) ?? {},
			files: ask(overlay, 'files', machine.name, () => manifest.files?.(context), problems) ?? [],
			units: ask(overlay, 'units', machine.name, () => manifest.units?.(context), problems) ?? [],
			ready: ask(overlay, 'ready', machine.name, () => manifest.ready?.(context), problems) ?? [],
			evidence: ask(overlay, 'evidence', machine.name, () => manifest.evidence?.(context), problems) ?? [],
		};
	});

	const kernel = kernelFiles(answers, replaces);
	const claims: Claim[] = [
		...own.flatMap(layerClaims),
		...answers.flatMap(({overlay, files}) => files.map(({path}): Claim => ({overlay, path, by: 'file'}))),
		...Object.values(generatedPaths).map((path): Claim => ({overlay: 'vmlab', path, by: 'file'})),
	];
	const settled = settle(claims, replaces);
	collisions.push(...kernel.problems, ...settled.problems);
	const evidence = answers.flatMap((answer) => answer.evidence);
	const names = evidence.map(({name}) => name);
	collisions.push(...[...new Set(names.filter((name, index) => names.indexOf(name) !== index))].map((name) => `evidence \`${name}\` is collected twice on ${machine.name}`));

	const image = `image ${work.imageName}`;
	const layer = `layer ${machine.role}`;
	const disk = work.stages.find(({recipe}) => recipe.kind === 'disk' && recipe.size === machine.disk)!.name;
	return {
		...machine,
		overlays: own.map(({overlay}) => overlay.name),
		routes,
		files: [
			...answers.flatMap(({overlay, files}) => files.filter(({path}) => settled.claims.some((claim) => claim.by === 'file' && claim.overlay === overlay && claim.path === path))),
			...kernel.files,
		],
		units: [...new Set(answers.flatMap(({units}) => units))],
		state: [...new Set(own.flatMap(({overlay}) => overlay.manifest.state ?? []))].sort(),
		ready: answers.flatMap(({ready}) => ready),
		evidence,
		stages: {image, layer, disk},
	};
}

/** The routes of a machine: those of its overlays, and its default routes where no overlay has one. */
function routesOf(machine: LabMachine, lab: LabTopology, asked: ReadonlyArray<{overlay: string; route: Route}>, {problems, collisions}: MachineWork): Route[] {
	const routes = new Map<string, {overlay: string; route: Route}>();
	for (const {overlay, route} of asked) {
		const what = `overlay \`${overlay}\`: the route of ${machine.name} to ${route.to}`;
		const wrong = routeProblem(route, lab);
		if (wrong !== undefined) {
			problems.push(`${what} ${wrong}`);
			continue;
		}

		const id = `${route.family} ${route.to}`;
		const other = routes.get(id);
		if (other !== undefined && JSON.stringify(other.route) !== JSON.stringify(route)) {
			collisions.push(`overlays \`${other.overlay}\` and \`${overlay}\` route ${route.to} differently on ${machine.name}`);
		}

		routes.set(id, {overlay, route});
	}

	const own = [...routes.values()].map(({route}) => route);
	const defaults = defaultRoutes(machine, lab.machines, lab.families);
	return [...defaults.filter(({family}) => !own.some((route) => route.family === family && route.to === 'default')), ...own];
}

function routeProblem({family, to, via}: Route, lab: LabTopology): string | undefined {
	if (!lab.families.includes(family)) {
		return `is of family ${family}, which the lab does not have`;
	}

	const gateway = via.find((address) => !isAddress(address, family));
	if (gateway !== undefined) {
		return `goes via \`${gateway}\`, which is no ${family} address`;
	}

	if (to !== 'default') {
		try {
			parseSubnet(to, family);
		} catch {
			return `is to no ${family} subnet`;
		}
	}

	return undefined;
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
