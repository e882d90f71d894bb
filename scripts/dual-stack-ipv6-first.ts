import {defineScenario} from 'vmlab';
import {clusterLab} from './labs/kubernetes.ts';
import {blockedNode, clusterNetwork} from './steps/cluster-network.ts';

export default defineScenario({
	summary: 'Pods, Services and external addresses of a dual-stack cluster, IPv6 first, in both families',
	lab: clusterLab(['ipv6', 'ipv4']),
	budget: '10m',
	async steps(context) {
		await clusterNetwork(context);
	},
	mutation: blockedNode,
});
