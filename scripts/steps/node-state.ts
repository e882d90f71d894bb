/** What the cluster says of its nodes. */
import {claim, type StepContext} from 'vmlab';

/** Claims that each node of the lab has the condition Ready. */
export async function nodesAreReady({cluster, machines}: StepContext): Promise<void> {
	const {items} = await cluster.get<{items: any[]}>('nodes');
	const ready = items.filter(({status}) => status.conditions.some(({type, status: holds}: {type: string; status: string}) => type === 'Ready' && holds === 'True'));
	const wanted = machines('node').length;
	claim(ready.length === wanted, `${ready.length} of ${wanted} nodes are Ready`);
}

/**
 * Claims that all nodes are Ready, and that each kubelet has said so after now: it renews its node's lease every 10 s,
 * while the condition may be minutes old.
 */
export async function nodesStayReady({cluster, machines, eventually}: StepContext): Promise<void> {
	const nodes = machines('node');
	const clocks = await Promise.all(nodes.map(async (node) => node.$`date +%s`));
	const now = Math.max(...clocks.map(({stdout}) => Number(stdout))) * 1000;
	await eventually('each node is Ready, and its kubelet has renewed its lease', async () => {
		const {items} = await cluster.get<{items: any[]}>('nodes,leases', '-n', 'kube-node-lease');
		for (const {name} of nodes) {
			const of = (kind: string): any => items.find((item) => item.kind === kind && item.metadata.name === name);
			const ready = of('Node')?.status.conditions.find(({type}: {type: string}) => type === 'Ready')?.status;
			claim(ready === 'True', `${name} has Ready ${ready}`);
			const renewed = of('Lease')?.spec.renewTime as string | undefined;
			claim(renewed !== undefined && Date.parse(renewed) > now, `the lease of ${name} was renewed at ${renewed}`);
		}
	}, {deadline: '60s'});
}
