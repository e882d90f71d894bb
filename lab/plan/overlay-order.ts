/** Which overlays a lab has, and in which order. Both come from what they need, never from the order of a list. */
import {failure} from '../host/failure.ts';

/** What the graph is made of: an overlay with its needs, which may depend on its options. */
export interface OverlayNode {
	readonly name: string;
	readonly provides: readonly string[];
	readonly needs: readonly string[];
}

/** The overlays of a lab. */
export interface OverlayOrder {
	/** Each after all that it needs; those that could go in any order are sorted by name. */
	readonly names: readonly string[];
	/** Capability -> the overlay that provides it, sorted. */
	readonly providers: Readonly<Record<string, string>>;
}

/**
 * The names of those listed and all that they need by name, as far as they are known; unknown names are in it too.
 */
export function closeOverNeeds(listed: readonly string[], find: (name: string) => OverlayNode | undefined, isOverlay: (name: string) => boolean): string[] {
	const names = new Set<string>(listed);
	for (const name of names) {
		for (const need of find(name)?.needs ?? []) {
			if (isOverlay(need)) {
				names.add(need);
			}
		}
	}

	return [...names];
}

/**
 * Orders the overlays of a lab.
 *
 * @param listed the names that the lab lists
 * @param known all overlays that were loaded: also those that a lab does not have, to say which of them would help
 * @param knownNames the names of all overlays that there are, loaded or not
 * @throws `unknown-overlay`, `capability-missing`, `capability-twice`, `overlay-cycle`
 */
export function orderOverlays(listed: readonly string[], known: readonly OverlayNode[], knownNames: readonly string[]): OverlayOrder {
	const byName = new Map(known.map((node) => [node.name, node]));
	const names = closeOverNeeds(listed, (name) => byName.get(name), (name) => byName.has(name)).sort();
	const nodes = names.map((name) => {
		const node = byName.get(name);
		if (node === undefined) {
			throw failure.unknownName('overlay', name, knownNames);
		}

		return node;
	});

	const providers: Record<string, string> = {};
	for (const capability of [...new Set(nodes.flatMap(({provides}) => provides))].sort()) {
		const those = nodes.filter(({provides}) => provides.includes(capability)).map(({name}) => name);
		if (those.length > 1 || (byName.has(capability) && those[0] !== capability)) {
			throw failure.capabilityTwice(capability, byName.has(capability) ? [...new Set([capability, ...those])] : those);
		}

		providers[capability] = those[0]!;
	}

	const edges = new Map(nodes.map((node) => [node.name, node.needs.map((need) => {
		const target = byName.has(need) ? need : providers[need];
		if (target === undefined) {
			throw failure.capabilityMissing(need, node.name, known.filter(({provides}) => provides.includes(need)).map(({name}) => name).sort(), knownNames);
		}

		return target;
	})]));

	return {names: sortTopologically(names, edges), providers};
}

/** Depth first, in the order of the names; throws `overlay-cycle` with the way around. */
function sortTopologically(names: readonly string[], edges: ReadonlyMap<string, readonly string[]>): string[] {
	const done = new Set<string>();
	const visit = (name: string, way: readonly string[]): void => {
		if (done.has(name)) {
			return;
		}

		if (way.includes(name)) {
			throw failure.overlayCycle([...way.slice(way.indexOf(name)), name]);
		}

		for (const need of [...edges.get(name)!].sort()) {
			visit(need, [...way, name]);
		}

		done.add(name);
	};

	for (const name of names) {
		visit(name, []);
	}

	return [...done];
}
