/** Which family is the first: who takes one address of a node, a pod or a Service takes that. */
import {claim, type Family, type StepContext} from 'vmlab';

/** Claims that nodes, pods and Services of both families tell their addresses in the cluster's order. */
export async function familiesAreInOrder({cluster}: StepContext, families: readonly Family[], services: readonly string[]): Promise<void> {
	const [nodes, pods, found] = await Promise.all([cluster.get('nodes'), cluster.get('pods', '-n', 'default'), cluster.get('services', '-n', 'default', ...services)]);
	for (const [what, {items}] of Object.entries({nodes, pods, Services: found})) {
		claim(items.length > 0, `the cluster tells of no ${what}`);
	}

	const told: Array<readonly [string, readonly string[]]> = [
		...nodes.items.flatMap(({metadata: {name}, status, spec}: any) => [
			[`node ${name}`, status.addresses.filter(({type}: any) => type === 'InternalIP').map(({address}: any) => address)],
			[`pod subnets of ${name}`, spec.podCIDRs ?? []],
		]),
		...pods.items.map(({metadata: {name}, status}: any) => [`pod ${name}`, (status.podIPs ?? []).map(({ip}: any) => ip)]),
		...found.items.map(({metadata: {name}, spec}: any) => [`Service ${name}`, spec.clusterIPs]),
	];
	const order = families.join(', ');
	const wrong = told.filter(([, addresses]) => addresses.map((address) => (address.includes(':') ? 'ipv6' : 'ipv4')).join(', ') !== order).map(([what, addresses]) => `${what} has ${addresses.join(', ') || 'no address'}`);
	claim(wrong.length === 0, `the order is to be ${order}: ${wrong[0]}`, wrong.slice(1));
}
