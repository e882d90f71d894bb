/** Overlays and labs in memory, for tests of what is pure. */
import {digestOf} from '../../lab/host/digest.ts';
import {makePlan, type PlanInput} from '../../lab/plan/make-plan.ts';
import type {Plan} from '../../lab/plan/plan.ts';
import type {ImageDeclaration} from '../../lab/spec/image.ts';
import type {LabDeclaration} from '../../lab/spec/lab.ts';
import type {LoadedOverlay} from '../../lab/spec/load.ts';
import type {OverlayDeclaration} from '../../lab/spec/overlay.ts';

/** An overlay as the loader would give it. `files` are those of its rootfs: path -> text. */
export function overlay(name: string, manifest: Partial<OverlayDeclaration<any>> = {}, files: Readonly<Record<string, string>> = {}, folder = `/overlays/${name}`): LoadedOverlay {
	const folders = new Set(Object.keys(files).flatMap((file) => file.split('/').slice(0, -1).map((_, index, parts) => parts.slice(0, index + 1).join('/'))));
	return {
		name,
		folder,
		file: `${folder}/overlay.ts`,
		manifest: {summary: name, ...manifest},
		tree: [
			...[...folders].map((path) => ({path, kind: 'folder' as const, mode: 0o755, digest: ''})),
			...Object.entries(files).map(([path, text]) => ({path, kind: 'file' as const, mode: 0o644, digest: digestOf(text)})),
		].sort((a, b) => (a.path < b.path ? -1 : 1)),
	};
}

/** An image for tests. */
export const image: ImageDeclaration = {
	summary: 'for tests', release: 'bookworm', kernel: 'linux-image-cloud-amd64', packages: ['systemd', 'iproute2'], bootModules: ['erofs'],
};

/** The lab that most tests plan: two nodes, a router, a tester. */
export const fourMachines: LabDeclaration['machines'] = {node: {count: 2}, router: {count: 1}, tester: {count: 1}};

/** The plan of a lab with these overlays, all of them listed unless the lab says. */
export function planOf(overlays: readonly LoadedOverlay[], lab: Partial<LabDeclaration> = {}, more: Partial<PlanInput> = {}): Plan {
	return makePlan({
		lab: {machines: fourMachines, overlays: overlays.map(({name}) => name), ...lab},
		overlays, imageName: 'bookworm', image, ...more,
	});
}
