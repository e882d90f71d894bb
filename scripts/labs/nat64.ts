/** The lab of the scenarios about NAT64 and DNS64. */
import {defineLab} from 'vmlab';

/**
 * An IPv6-only cluster of two nodes, and beyond the router a network without IPv6, with a server that is the name server too. That network's packets are of
 * 1300 bytes, so that those of the cluster are too big for it.
 */
export const nat64Lab = defineLab({
	families: ['ipv6'],
	machines: {
		node: {count: 2, cpus: 2, memory: '2.5GiB', disk: '8GiB'},
		router: {count: 1, memory: '256MiB'},
		server: {count: 1, memory: '256MiB'},
	},
	networks: {
		cluster: {subnets: {ipv6: '1000::1:c0a8:100/120'}},
		external: {families: ['ipv4'], subnets: {ipv4: '192.168.2.0/24'}, mtu: 1300},
	},
	overlays: ['base', 'iptools', 'etcd', 'kubernetes', 'coredns', 'cni-bridge', 'images', 'nat64', 'nsd', 'agnhost'],
	options: {
		// Each machine has its own name too: server-1.lab.test has only an IPv4 address, node-1.lab.test only an IPv6 address.
		nsd: {records: 'both A server-1, both AAAA router-1, six AAAA router-1, *.four A server-1'},
	},
});
