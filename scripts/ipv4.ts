import {defineScenario} from 'vmlab';
import {clusterLab} from './labs/kubernetes.ts';
import {blockedNode, clusterNetwork} from './steps/cluster-network.ts';

export default defineScenario({
	summary: 'Pods, Services and external addresses of an IPv4 cluster, from inside and over the router',
	lab: clusterLab(['ipv4']),
	budget: '5m',
	async steps(context) {
		await clusterNetwork(context);
	},
	mutation: blockedNode,
});
