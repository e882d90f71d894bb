/** The next hops of a router, as its kernel has them. */
import {claim, type Family, type LabTopology, type MachineHandle} from 'vmlab';

/** What `ip -json route show` tells of a route. */
interface ShownRoute {
	readonly dev?: string;
	readonly nexthops?: ReadonlyArray<{readonly dev?: string}>;
}

/** The networks that a machine's routes to a network go over, each once, in order. */
export async function nextNetworks({$, machine}: MachineHandle, {networks}: LabTopology, to: string, family: Family): Promise<string[]> {
	const subnet = networks.find(({name}) => name === to)?.subnets[family];
	claim(subnet !== undefined, `the network ${to} has no subnet of ${family}`);
	const {stdout} = await $`ip -json ${family === 'ipv4' ? '-4' : '-6'} route show ${subnet}`;
	const devices = (JSON.parse(stdout === '' ? '[]' : stdout) as ShownRoute[]).flatMap(({dev, nexthops}) => [dev, ...(nexthops ?? []).map((hop) => hop.dev)]);
	return [...new Set(devices.flatMap((device) => machine.links.find((link) => link.device === device)?.network ?? []))].sort();
}

/** Claims over which networks a router's routes to a network go. */
export async function claimNextNetworks(router: MachineHandle, lab: LabTopology, to: string, wanted: readonly string[]): Promise<void> {
	for (const family of lab.families) {
		const found = await nextNetworks(router, lab, to, family);
		claim(found.join() === wanted.join(), `the route of ${router.name} to ${to} (${family}) goes over ${found.join(' and ') || 'nothing'}, not over ${wanted.join(' and ')}`);
	}
}
