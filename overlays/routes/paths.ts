/** Shortest paths through the networks of a lab, as the routes of a machine. */
import type {Family, LabMachine, LabTopology, Route} from 'vmlab';

/** The address of a family that a machine has on a network; undefined where it has none, or is not there. */
function addressOn({links}: LabMachine, network: string, family: Family): string | undefined {
	return links.find((link) => link.network === network)?.addresses.find((address) => address.family === family)?.address;
}

/** The networks on which a machine has an address of a family. */
function networksOf({links}: LabMachine, family: Family): string[] {
	return links.filter(({addresses}) => addresses.some((address) => address.family === family)).map(({network}) => network);
}

/** How many routers are between each network and the one that is named; a network that is cut off from it is not there. */
function distances(to: string, family: Family, routers: readonly LabMachine[]): Map<string, number> {
	const found = new Map([[to, 0]]);
	// A Map is walked through in the order in which it grows, so nearer networks come first.
	for (const [network, distance] of found) {
		for (const router of routers.filter((each) => networksOf(each, family).includes(network))) {
			for (const next of networksOf(router, family).filter((each) => !found.has(each))) {
				found.set(next, distance + 1);
			}
		}
	}

	return found;
}

/** The gateways through which a machine reaches a network over the fewest routers, all of them: none where it is cut off. */
function gateways(machine: LabMachine, to: string, family: Family, routers: readonly LabMachine[]): string[] {
	const remaining = distances(to, family, routers);
	const candidates = networksOf(machine, family).flatMap((network) => routers
		.filter((router) => router.name !== machine.name)
		.flatMap((router) => {
			const address = addressOn(router, network, family);
			const further = Math.min(...networksOf(router, family).map((each) => remaining.get(each) ?? Infinity));
			return address === undefined || further === Infinity ? [] : [{address, further}];
		}));
	const least = Math.min(...candidates.map(({further}) => further));
	return candidates.filter(({further}) => further === least).map(({address}) => address);
}

/**
 * The routes of a machine to all networks that it is not on. A machine that is no router, and goes the same way to all of them, has a default route in their
 * place; several ways of the same length are one route with several gateways.
 */
export function shortestRoutes(machine: LabMachine, {machines, networks}: LabTopology): Route[] {
	const routers = machines.filter(({role}) => role === 'router');
	return (['ipv4', 'ipv6'] as const).flatMap((family) => {
		const own = networksOf(machine, family);
		const routes = networks.flatMap(({name, subnets}): Route[] => {
			const to = subnets[family];
			const via = to === undefined || own.includes(name) ? [] : gateways(machine, name, family, routers);
			return to === undefined || via.length === 0 ? [] : [{family, to, via}];
		});
		const [first] = routes;
		return first !== undefined && machine.role !== 'router' && routes.every(({via}) => via.join() === first.via.join()) ? [{family, to: 'default', via: first.via}] : routes;
	});
}
