/** Each node has a pod subnet of its own, and the controller manager gives one to each that comes. */
import {claim, type StepContext} from 'vmlab';

const stranger = 'stranger';

/** Claims that each node has a /64 of its own, and that a Node object which comes without one is given another by the controller manager. Gives that one. */
export async function controllerManagerGivesSubnets({cluster, eventually}: StepContext): Promise<string> {
	const subnets = async (): Promise<Map<string, string[]>> => {
		const {items} = await cluster.get('nodes');
		return new Map(items.map(({metadata, spec}: any) => [metadata.name, spec.podCIDRs ?? []]));
	};

	const before = await subnets();
	for (const [name, own] of before) {
		claim(own.length === 1 && /^[\da-f:]+\/64$/.test(own[0] ?? ''), `the pod subnets of ${name} are ${own.join(', ') || 'none'}, not one /64`);
	}

	await cluster.apply({apiVersion: 'v1', kind: 'Node', metadata: {name: stranger}, spec: {unschedulable: true}});
	try {
		return await eventually('a Node that comes without a pod subnet is given one', async () => {
			const [given, ...others] = (await subnets()).get(stranger) ?? [];
			claim(given !== undefined, 'it has none yet');
			claim(others.length === 0 && /^[\da-f:]+\/64$/.test(given), `it has ${[given, ...others].join(', ')}`);
			claim(![...before.values()].flat().includes(given), `it has ${given}, which is another node's`);
			return given;
		}, {deadline: '30s'});
	} finally {
		await cluster.kubectl`delete node ${stranger}`;
	}
}
