import {defineScenario} from 'vmlab';
import {clusterLab} from './labs/kubernetes.ts';
import {blockedNode, clusterNetwork} from './steps/cluster-network.ts';

export default defineScenario({
	summary: 'Pods, Services and external addresses of a dual-stack cluster, IPv4 first, in both families',
	lab: clusterLab(['ipv4', 'ipv6']),
	budget: '10m',
	async steps(context) {
		await clusterNetwork(context);
	},
	mutation: blockedNode,
	variants: {ipvs: {kubernetes: {proxyMode: 'ipvs'}}, iptables: {kubernetes: {proxyMode: 'iptables'}}},
});
