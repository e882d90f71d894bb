/**
 * All nodes are Ready, all pods run, and pods do not reach each other.
 *
 * Something on the nodes has set the policy of iptables' chain FORWARD to DROP: Docker does when it starts, and so do many
 * firewalls. A node's own connections do not pass that chain, so kubelets renew their leases, and probes of pods succeed;
 * what a node forwards from and to its pods is dropped. No mode of kube-proxy heals that. They differ in what a
 * node's port still answers: kube-proxy's modes iptables and ipvs accept what they have marked to be masqueraded, so the node that has the
 * pod answers; the rules of nftables cannot accept what another table drops. Cure: `iptables -P FORWARD ACCEPT`, on all nodes.
 */
import {claim, defineScenario, type MachineHandle, type StepContext} from 'vmlab';
import {clusterLab} from './labs/kubernetes.ts';
import {addressIn} from './steps/address.ts';
import {changeProxy, proxyModes, type ProxyMode} from './steps/kube-proxy.ts';
import {nodesStayReady} from './steps/node-state.ts';
import {acrossNodes, onOneNode, podsDoNotReachEachOther, podsReachEachOther} from './steps/pod-network.ts';
import {nothingAnswers, podAnswers, readServices, service, urlOf} from './steps/services.ts';
import {placePods, type Pod} from './steps/test-server.ts';

/** Sets the policy of the chain FORWARD on nodes. */
async function setPolicy(nodes: readonly MachineHandle[], policy: 'ACCEPT' | 'DROP'): Promise<void> {
	await Promise.all(nodes.map(async (node) => node.$`iptables -P FORWARD ${policy}`));
}

/** Does kube-proxy itself accept what it forwards for a node's port, whatever the policy? */
const acceptsItsOwn: Readonly<Record<ProxyMode, boolean>> = {nftables: false, iptables: true, ipvs: true};

/** The URL of a NodePort on a node. */
function portOf({machine, name}: MachineHandle, nodePort: number): string {
	return urlOf(addressIn('ipv4', machine.address, name), nodePort);
}

/** What a node's port answers in a mode of kube-proxy, without the mistake and with it. `pod` is the Service's only one, on the second node. */
async function nodePorts(context: StepContext, mode: ProxyMode, pod: Pod, nodePort: number): Promise<void> {
	const {step, machines, tester} = context;
	const client = tester('tester-1');
	const nodes = machines('node');
	await step(`control: in mode ${mode}, with the policy ACCEPT, each node answers at the NodePort`, async () => {
		await setPolicy(nodes, 'ACCEPT');
		for (const node of nodes) {
			await context.eventually(`${node.name} answers`, async () => podAnswers(client, portOf(node, nodePort), [pod]));
		}
	});

	const heard = acceptsItsOwn[mode];
	await step(`in mode ${mode}, with the policy DROP, ${heard ? 'only the node with the pod answers' : 'no node answers'} at the NodePort`, async () => {
		await setPolicy(nodes, 'DROP');
		await Promise.all(nodes.map(async (node) => {
			const url = portOf(node, nodePort);
			await (heard && node.name === pod.node ? podAnswers(client, url, [pod]) : nothingAnswers(client, url));
		}));
	});
}

export default defineScenario({
	summary: 'Bug: iptables\' FORWARD policy is DROP: nodes are Ready, and pods do not reach each other',
	lab: clusterLab(['ipv4']),
	budget: '5m',
	async steps(context) {
		const {lab, cluster, machines, step} = context;
		const nodes = machines('node');

		const pods = await step('control: two pods on one node and one on the other reach each other', async () => {
			const placed = await placePods(context, {'left-1': 'node-1', 'left-2': 'node-1', right: 'node-2'});
			await podsReachEachOther(context, ['ipv4'], placed);
			return placed;
		});

		await step('the mistake: the policy of FORWARD is DROP on all nodes', async () => setPolicy(nodes, 'DROP'));

		await step('symptom: pods on different nodes do not reach each other', async () => podsDoNotReachEachOther(context, 'ipv4', pods, acrossNodes));

		await step('the nodes stay Ready, and so do the pods', async () => {
			await nodesStayReady(context);
			const {items} = await cluster.get<{items: any[]}>('pods');
			const unready = items.filter(({status}) => !status.conditions.some(({type, status: holds}: {type: string; status: string}) => type === 'Ready' && holds === 'True'));
			claim(unready.length === 0, `${unready.length} pods are not ready`, unready.map(({metadata}) => metadata.name));
		});

		await step('pods on one node do not reach each other where the bridge\'s frames pass the packet filter', async () => podsDoNotReachEachOther(context, 'ipv4', pods, onOneNode));

		await step('they do where the frames do not pass it (net.bridge.bridge-nf-call-iptables=0), and pods on different nodes still do not', async () => {
			await Promise.all(nodes.map(async (node) => node.$`sysctl -q -w net.bridge.bridge-nf-call-iptables=0`));
			await podsReachEachOther(context, ['ipv4'], pods, onOneNode);
			await podsDoNotReachEachOther(context, 'ipv4', pods, acrossNodes);
			await Promise.all(nodes.map(async (node) => node.$`sysctl -q -w net.bridge.bridge-nf-call-iptables=1`));
		});

		await step('control: the cure on one node alone does not help', async () => {
			await setPolicy(nodes.slice(0, 1), 'ACCEPT');
			await podsDoNotReachEachOther(context, 'ipv4', pods, acrossNodes);
		});

		await step('cure: with the policy ACCEPT on all nodes all pods reach each other', async () => {
			await setPolicy(nodes, 'ACCEPT');
			await podsReachEachOther(context, ['ipv4'], pods);
		});

		const [, , right] = pods;
		claim(right !== undefined, 'there is no third pod');
		const nodePort = await step('a Service with a pod on node-2 gets a NodePort', async () => {
			await cluster.apply(service(lab, 'right', right.name, 'Cluster'));
			const [{nodePort: found} = {}] = await readServices(cluster, 'right');
			claim(found !== undefined, 'the Service has no NodePort');
			return found;
		});

		for (const mode of proxyModes) {
			await step(`kube-proxy works in mode ${mode}`, async () => changeProxy(context, nodes, {mode}));
			await nodePorts(context, mode, right, nodePort);
			await step(`in mode ${mode}, with the policy DROP, pods on different nodes do not reach each other either`, async () => podsDoNotReachEachOther(context, 'ipv4', pods, acrossNodes));
		}

		await step('cure: with the policy ACCEPT each node answers, and all pods reach each other', async () => {
			await setPolicy(nodes, 'ACCEPT');
			await podsReachEachOther(context, ['ipv4'], pods);
			for (const node of nodes) {
				await podAnswers(context.tester('tester-1'), portOf(node, nodePort), [right]);
			}
		});
	},
	mutation: {
		summary: 'a rule of the chain FORWARD accepts everything, so that its policy is never asked',
		red: 'symptom: pods on different nodes do not reach each other',
		because: /pairs of pods talk/,
		before: 'symptom: pods on different nodes do not reach each other',
		async apply({machines}) {
			await Promise.all(machines('node').map(async (node) => node.$`iptables -A FORWARD -j ACCEPT`));
		},
	},
});
