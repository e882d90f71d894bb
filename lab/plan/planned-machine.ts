/** One machine of a plan: what its overlays say about it, with every problem as a sentence. */
import type {LabMachine, LabTopology, MachineContext, Route} from '../spec/topology.ts';
import {isAddress, parseSubnet} from './addresses.ts';
import {ask} from './answers.ts';
import {hasRole, layerClaims} from './chain.ts';
import {type Claim, generatedPaths, kernelFiles, settle} from './files.ts';
import {defaultRoutes, type SizedMachine} from './machines.ts';
import type {PlannedMachine} from './plan.ts';
import type {ResolvedOverlay} from './resolution.ts';

/** What all machines are planned with. */
export interface MachineWork {
	/** Overlay -> the paths and settings that it overrides on purpose. */
	readonly replaces: ReadonlyMap<string, readonly string[]>;
	/** Sentences are added: what is wrong with an overlay, and what two of them do that only one can. */
	readonly problems: string[];
	readonly collisions: string[];
}

/** One machine, with what its overlays say about it. `stages` are those that it runs on. */
export function planMachine(machine: SizedMachine, lab: LabTopology, overlays: readonly ResolvedOverlay[], stages: PlannedMachine['stages'], work: MachineWork): PlannedMachine {
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
			restartInForks: ask(overlay, 'restartInForks', machine.name, () => manifest.restartInForks?.(context), problems) ?? [],
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

	const restartInForks = [...new Set(answers.flatMap((answer) => answer.restartInForks))].sort();
	return {
		...machine,
		overlays: own.map(({overlay}) => overlay.name),
		routes,
		files: [
			...answers.flatMap(({overlay, files}) => files.filter(({path}) => settled.claims.some((claim) => claim.by === 'file' && claim.overlay === overlay && claim.path === path))),
			...kernel.files,
		],
		units: [...new Set(answers.flatMap(({units}) => units))],
		...(restartInForks.length > 0 && {restartInForks}),
		state: outermost(own.flatMap(({overlay}) => overlay.manifest.state ?? [])),
		ready: answers.flatMap(({ready}) => ready),
		evidence,
		stages,
	};
}

/** Folders, each once, without those that are in another of them: what is in that is where it is. */
function outermost(folders: readonly string[]): string[] {
	return [...new Set(folders)].filter((folder) => !folders.some((other) => folder.startsWith(`${other}/`))).sort();
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
	const defaults = defaultRoutes(machine, lab.machines);
	return [...defaults.filter(({family}) => !own.some((route) => route.family === family && route.to === 'default')), ...own];
}

function routeProblem({family, to, via}: Route, lab: LabTopology): string | undefined {
	if (!lab.networks.some(({families}) => families.includes(family))) {
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
