/**
 * A cluster that has no IPv4 at all: not on nodes, pods or Services, not for etcd, the API server or DNS, and not one frame of it (or of ARP) on the wire, from
 * the boot on. What people fought for when they built such clusters by hand is asserted here: a /64 for each node from the controller manager, NodePorts in each
 * mode of kube-proxy (the mode iptables once opened each port twice for IPv6 and failed), a router that takes pods for its neighbours (ndppd answers for
 * them), and a cluster that comes back when everything was switched off.
 */
import {claim, defineScenario, type StepContext} from 'vmlab';
import {clusterLab} from './labs/kubernetes.ts';
import {addressIn} from './steps/address.ts';
import {podCaller} from './steps/caller.ts';
import {clusterNetwork} from './steps/cluster-network.ts';
import {podAnswersFromOutside, podIsSilentOutside, routerHasNeighbour, withPodsOnLink} from './steps/neighbour-proxy.ts';
import {nodesAreReady, nodesStayReady} from './steps/node-state.ts';
import {callersHaveNoIpv4, clusterHasNoIpv4, machinesHaveNoIpv4, wireHasNoIpv4} from './steps/no-ipv4.ts';
import {controllerManagerGivesSubnets} from './steps/pod-subnets.ts';
import {reboot} from './steps/reboot.ts';
import {connectionsSpread, servicePort, urlOf} from './steps/services.ts';
import {readPods} from './steps/test-server.ts';

const noneOnMachines = 'outside of the maintenance VRF and 127/8 no machine has an IPv4 address or route, or listens on one';

async function steps(context: StepContext): Promise<void> {
	const {step, eventually, note, node, tester, cluster, lab} = context;
	await step(noneOnMachines, async () => machinesHaveNoIpv4(context));
	await step('nodes, pods, Services, etcd, the API server and DNS have no IPv4 address', async () => clusterHasNoIpv4(context));
	const given = await step('the controller manager gives a Node that comes a /64 of its own', async () => controllerManagerGivesSubnets(context));
	note(`It was given ${given}`);

	const {pods, hello} = await clusterNetwork(context);
	await step('pods have no IPv4 address in their own networks', async () => callersHaveNoIpv4(await Promise.all(pods.map(async (pod) => podCaller(context, pod)))));

	const [pod] = pods.filter(({node: name}) => name === 'node-2');
	await step('the tester reaches a pod that its router takes for a neighbour: the node answers for it (ndppd)', async () => withPodsOnLink(context, pod!, async () => {
		await eventually('the pod answers', async () => podAnswersFromOutside(context, pod!), {deadline: '20s'});
		await routerHasNeighbour(context, pod!);
	}));
	await step('control: while ndppd is stopped it does not, for nobody answers the router; and afterwards it does again', async () => {
		// Before the router forgets its neighbours: a late packet of the step before makes it ask for the pod at once.
		await node('node-2').$`systemctl stop vmlab-ndppd.service`;
		try {
			await withPodsOnLink(context, pod!, async () => {
				await podIsSilentOutside(context, pod!);
				await node('node-2').$`systemctl start vmlab-ndppd.service`;
				await eventually('the pod answers again', async () => podAnswersFromOutside(context, pod!), {deadline: '30s'});
			});
		} finally {
			await node('node-2').$`systemctl start vmlab-ndppd.service`;
		}
	});

	await step('all machines are rebooted, and come back', async () => reboot(lab.machines.map(({name}) => context.machine(name))));
	await step('the cluster comes back by itself', async () => {
		await eventually('all nodes are Ready', async () => nodesAreReady(context), {deadline: '120s'});
		// What etcd has of before the reboot says so too.
		await nodesStayReady(context);
		const url = urlOf(addressIn('ipv6', hello.external, hello.name), servicePort);
		await eventually('the Service answers 40 new connections from outside, by all pods', async () => {
			const pods = (await readPods(cluster, 'hello')).get('hello') ?? [];
			claim(pods.every(({ready}) => ready), `${pods.filter(({ready}) => !ready).map(({name}) => name).join(', ')} are not ready`);
			await connectionsSpread(tester('tester-1'), 40, url, pods);
		}, {deadline: '120s'});
		await eventually('cluster DNS answers on every node', async () => {
			for (const each of context.machines('node')) {
				await each.$`getent ahostsv6 ${hello.name}.default.svc.cluster.local`;
			}
		}, {deadline: '120s'});
	});
	await step('and has still no IPv4', async () => {
		await machinesHaveNoIpv4(context);
		await clusterHasNoIpv4(context);
	});
	const carried = await step('the networks have carried not one frame of IPv4 or ARP since the lab was booted', async () => wireHasNoIpv4(context));
	note(`Frames of IPv6: ${carried}`);
}

export default defineScenario({
	summary: 'A cluster without any IPv4, from the first frame of its boot on',
	lab: clusterLab(['ipv6'], ['ndppd']),
	budget: '20m',
	steps,
	mutation: {
		summary: 'node-2 has an IPv4 address besides and uses it once',
		red: noneOnMachines,
		because: /^[^\n]*: The network cluster is for [^\n]*ARP: who has 192\.168\.1\.1, asks 192\.168\.1\.2/,
		async apply({node}) {
			// Nothing of it is left to see but the frame.
			await node('node-2').$`ip address add 192.168.1.2/24 dev eth1; ping -c 1 -W 1 192.168.1.1 || true; ip address del 192.168.1.2/24 dev eth1`;
		},
	},
	variants: {ipvs: {kubernetes: {proxyMode: 'ipvs'}}, iptables: {kubernetes: {proxyMode: 'iptables'}}},
});
