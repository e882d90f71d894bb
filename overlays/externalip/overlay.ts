import {addressAt, defineOverlay, subnetSize, type CertificateRequest, type Family, type LabMachine, type LabTopology, type Route} from 'vmlab';

/** The most addresses of a range that are given out. */
const poolSize = 250;

/** As whom addresses are given to Services. */
const allocator: CertificateRequest = {authority: 'kubernetes', commonName: 'vmlab:external-addresses', usages: ['client']};

/** What it may do: look at Services and write their status. */
const manifest = {
	apiVersion: 'v1',
	kind: 'List',
	items: [
		{
			apiVersion: 'rbac.authorization.k8s.io/v1',
			kind: 'ClusterRole',
			metadata: {name: allocator.commonName},
			rules: [
				{apiGroups: [''], resources: ['services'], verbs: ['get', 'list', 'watch']},
				{apiGroups: [''], resources: ['services/status'], verbs: ['get', 'patch']},
			],
		},
		{
			apiVersion: 'rbac.authorization.k8s.io/v1',
			kind: 'ClusterRoleBinding',
			metadata: {name: allocator.commonName},
			roleRef: {apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: allocator.commonName},
			subjects: [{apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: allocator.commonName}],
		},
	],
};

/** The addresses of a range that Services get, the range's own and, of IPv4, its last one left out. */
function pool(subnet: string): string[] {
	const usable = Number(subnetSize(subnet) > BigInt(poolSize) ? BigInt(poolSize) : subnetSize(subnet) - 2n);
	return Array.from({length: Math.max(usable, 0)}, (_, index) => addressAt(subnet, index + 1));
}

/** Another machine's address on a network that this machine is on too. */
function neighbour(machine: LabMachine, other: LabMachine, family: Family): string | undefined {
	const shared = other.links.find(link => link.addresses.length > 0 && machine.links.some(own => own.network === link.network));
	return shared?.addresses.find(address => address.family === family)?.address;
}

/** The external addresses through all nodes at once: each of them can serve every Service. */
function externalRoutes(lab: LabTopology, machine: LabMachine): Route[] {
	return lab.families.flatMap(family => {
		const to = lab.external[family];
		const via = lab.machines.filter(other => other.role === 'node').flatMap(node => neighbour(machine, node, family) ?? []);
		return to === undefined || via.length === 0 ? [] : [{family, to, via}];
	});
}

/**
 * An external address that no Service has would go from the node back to the router, and from there to a node again.
 * The node refuses it instead. What belongs to a Service was translated, or is the node's own, and never comes here.
 */
function guard(lab: LabTopology): string {
	const refusals = {ipv4: 'reject with icmp type host-unreachable', ipv6: 'reject with icmpv6 type addr-unreachable'};
	const words = {ipv4: 'ip', ipv6: 'ip6'};
	return [
		'table inet vmlab-externalip',
		'delete table inet vmlab-externalip',
		'table inet vmlab-externalip {',
		'\tchain forward {',
		'\t\ttype filter hook forward priority filter; policy accept;',
		...lab.families.flatMap(family => lab.external[family] === undefined ? [] : [`\t\t${words[family]} daddr ${lab.external[family]} ${refusals[family]}`]),
		'\t}',
		'}',
		'',
	].join('\n');
}

export default defineOverlay({
	summary: 'External addresses for Services of type LoadBalancer, routed by the router over all nodes',
	needs: ['base', 'kubernetes'],
	packages: ['nftables'],
	routes: ({lab, machine}) => machine.role === 'router' ? externalRoutes(lab, machine) : [],
	// The router spreads connections, not clients: one client's connections would all meet the same node.
	kernel: ({lab, machine}) => machine.role === 'router'
		? {sysctls: Object.fromEntries(lab.families.map(family => [`net.${family}.fib_multipath_hash_policy`, 1]))}
		: {},
	files({lab, machine}) {
		if (machine.role !== 'node') {
			return [];
		}

		return [
			{path: '/etc/vmlab/externalip.nft', text: guard(lab)},
			...(machine.index === 1 ? [
				...lab.families.flatMap(family => lab.external[family] === undefined ? [] : [{
					path: `/etc/vmlab/external-addresses/${family}`,
					text: pool(lab.external[family]).map(address => `${address}\n`).join(''),
				}]),
				{path: '/etc/kubernetes/pki/external-addresses.crt', certificate: allocator},
				{path: '/etc/kubernetes/pki/external-addresses.key', certificateKey: allocator},
				{path: '/etc/vmlab/manifests/externalip.yaml', text: `${JSON.stringify(manifest, undefined, 2)}\n`},
			] : []),
		];
	},
	units: ({machine}) => machine.role === 'node'
		? ['vmlab-externalip.service', ...(machine.index === 1 ? ['vmlab-external-addresses.service'] : [])]
		: [],
	ready: ({machine}) => machine.role === 'node' && machine.index === 1
		? [{sentence: 'external addresses are given to Services', deadline: '60s', unit: 'vmlab-external-addresses.service'}]
		: [],
	evidence: ({machine}) => machine.role === 'node' && machine.index === 1
		? [{name: 'external-addresses.txt', command: 'journalctl --no-pager -u vmlab-external-addresses.service'}]
		: [],
});
