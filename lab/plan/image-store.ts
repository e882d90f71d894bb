/**
 * The store of a lab's container images. The lab's own container runtime makes it, once, in a machine that has nothing but that runtime and the images; the
 * machines of the lab have it read-only from their first moment on.
 */
import type {ImageDeclaration} from '../spec/image.ts';
import type {LabTopology, Role} from '../spec/topology.ts';
import {bytes} from '../spec/units.ts';
import {hasRole, type StoreMaker} from './chain.ts';
import {layOut} from './machines.ts';
import type {Plan, PlannedStage} from './plan.ts';
import {planKey} from './plan-key.ts';
import {type MachineWork, planMachine} from './planned-machine.ts';
import type {ResolvedOverlay} from './resolution.ts';
import {imageStoreStage, makerLayerRole} from './stages.ts';

/** What an overlay provides that is a container runtime. */
const runtimeCapability = 'cri';

/** The size of the machine that makes a store: its disk has the images unpacked, and the store beside them. */
const size = {count: 1, cpus: 2, memory: '1GiB', disk: '16GiB'} as const;

/** What makes the image store of a lab; undefined where no machine has a container runtime, or the lab has no container image. */
export function makerOf(overlays: readonly ResolvedOverlay[], providers: Readonly<Record<string, string>>, roles: readonly Role[]): StoreMaker | undefined {
	const runtime = overlays.find(({overlay}) => overlay.name === providers[runtimeCapability]);
	const role = runtime && roles.find((each) => hasRole(runtime.overlay, each));
	if (runtime === undefined || role === undefined || overlays.every(({overlay, images}) => images.length === 0 || !roles.some((each) => hasRole(overlay, each)))) {
		return undefined;
	}

	const names = new Set([runtime.overlay.name]);
	for (const name of names) {
		for (const need of overlays.find(({overlay}) => overlay.name === name)?.needs ?? []) {
			names.add(need);
		}
	}

	return {overlays: overlays.filter(({overlay}) => names.has(overlay.name)), runtime: runtime.overlay, role, disk: bytes(size.disk)};
}

/**
 * The stage of the store.
 *
 * @param lab the lab that it is for
 * @param chain the stages up to here; the layer of the maker is among them
 */
export function imageStoreOf(
	{overlays, role}: StoreMaker,
	lab: LabTopology,
	{imageName, image, chain, work}: {imageName: string; image: ImageDeclaration; chain: readonly PlannedStage[]; work: MachineWork},
): PlannedStage {
	const names = overlays.map(({overlay}) => overlay.name);
	// It is alone, so that one family does: the same one for all labs that have it, so that they share the store.
	const {machines: [sized], ...layout} = layOut({families: [lab.families.includes('ipv4') ? 'ipv4' : 'ipv6'], machines: {[role]: size}, overlays: names});
	const {cpus: _cpus, memory: _memory, disk: _disk, ...machine} = sized!;
	// Only what the overlays of the maker can know of: all else of the lab may change, and the store stays.
	const topology: LabTopology = {
		families: layout.families,
		networks: layout.networks,
		...layout.ranges,
		machines: [machine],
		options: Object.fromEntries(names.map((name) => [name, lab.options[name] ?? {}])),
		providers: Object.fromEntries(Object.entries(lab.providers).filter(([, name]) => names.includes(name))),
		images: lab.images,
	};
	const stages = {image: `image ${imageName}`, layer: `layer ${makerLayerRole}`, disk: chain.find(({recipe}) => recipe.kind === 'disk' && recipe.size === sized!.disk)!.name};
	const plan: Omit<Plan, 'key'> = {
		topology, imageName, image, overlays: names,
		machines: [planMachine(sized!, topology, overlays, stages, work)],
		forwards: [], egress: false,
		stages: chain.filter(({name}) => Object.values(stages).includes(name)),
	};
	return imageStoreStage({...plan, key: planKey(plan)});
}
