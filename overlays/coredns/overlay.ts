import {addressAt, defineOverlay, withinPrefix, type FileDeclaration, type LabTopology} from 'vmlab';

/** The domain of the cluster, as the overlay `kubernetes` has it. */
function clusterDomain(lab: LabTopology): string {
	return String(lab.options['kubernetes']!['clusterDomain']);
}

/** The addresses of the Service: the tenth of each range, the preferred family's first. */
function serviceAddresses(lab: LabTopology): string[] {
	return lab.families.flatMap(family => {
		const range = lab.services[family];
		return range === undefined ? [] : [addressAt(range, 10)];
	});
}

/**
 * Whom a lab with the overlay `nat64` asks for other names. An IPv6-only pod reaches the name server beyond the router by its address within the translator's
 * prefix, or it asks the router's unbound.
 */
function beyondRouter(lab: LabTopology): string {
	const nat64 = lab.options['nat64'];
	if (nat64 === undefined) {
		return '';
	}

	if (nat64['dns64'] === 'unbound') {
		return lab.families.flatMap(family => lab.machines.find(({role}) => role === 'router')?.address[family] ?? []).join(' ');
	}

	const address = lab.machines
		.find(({role}) => role === lab.options['nsd']?.['role'])?.links
		.flatMap(({addresses}) => addresses).find(({family}) => family === 'ipv4')?.address;
	return address === undefined ? '' : withinPrefix(String(nat64['prefix']), address);
}

/** The plugin that makes AAAA records of A records. It is in the zone of all other names alone, so that names of the cluster and of machines are what they are. */
function dns64(lab: LabTopology): string[] {
	const nat64 = lab.options['nat64'];
	return nat64?.['dns64'] === 'coredns' ? ['    dns64 {', `        prefix ${nat64['prefix']}`, '    }'] : [];
}

/**
 * The server's configuration (coredns.io/manual). Plugins work in an order of their own, not in that of the file, so what
 * answers for everything has a zone to itself.
 */
function corefile(lab: LabTopology, upstream: string): string {
	const servers = upstream === '' ? beyondRouter(lab) : upstream;
	const names = lab.machines.map(({name}) => name).join(' ');
	const cluster = `${clusterDomain(lab)} in-addr.arpa ip6.arpa`;
	return [
		`${cluster} {`,
		'    errors',
		'    health',
		'    ready',
		`    kubernetes ${cluster} {`,
		'        pods insecure',
		'        ttl 5',
		'    }',
		'    loadbalance',
		'    reload',
		'}',
		`${names} {`,
		'    errors',
		'    hosts {',
		...lab.machines.flatMap(({name, address}) => lab.families.flatMap(family => address[family] === undefined ? [] : [`        ${address[family]} ${name}`])),
		'    }',
		'}',
		'. {',
		'    errors',
		// A lab is closed: a name that nobody in it has does not exist, and saying so at once spares the client its waits.
		...(servers === ''
			? ['    template ANY ANY . {', '        rcode NXDOMAIN', '    }']
			: [...dns64(lab), `    forward . ${servers}`, '    cache 30']),
		'}',
		'',
	].join('\n');
}

/** Everything that the cluster's DNS is made of; one list, applied on the first node. */
function manifest(lab: LabTopology, version: string, replicas: number, upstream: string): object {
	const labels = {'k8s-app': 'kube-dns'};
	const inSystem = {namespace: 'kube-system'};
	return {
		apiVersion: 'v1',
		kind: 'List',
		items: [
			{apiVersion: 'v1', kind: 'ServiceAccount', metadata: {name: 'coredns', ...inSystem}},
			{
				apiVersion: 'rbac.authorization.k8s.io/v1',
				kind: 'ClusterRole',
				metadata: {name: 'system:coredns'},
				rules: [
					{apiGroups: [''], resources: ['services', 'namespaces'], verbs: ['list', 'watch']},
					{apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch']},
				],
			},
			{
				apiVersion: 'rbac.authorization.k8s.io/v1',
				kind: 'ClusterRoleBinding',
				metadata: {name: 'system:coredns'},
				roleRef: {apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:coredns'},
				subjects: [{kind: 'ServiceAccount', name: 'coredns', ...inSystem}],
			},
			{apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'coredns', ...inSystem}, data: {Corefile: corefile(lab, upstream)}},
			{
				apiVersion: 'v1',
				kind: 'Service',
				metadata: {name: 'kube-dns', ...inSystem, labels: {...labels, 'kubernetes.io/name': 'CoreDNS'}},
				spec: {
					selector: labels,
					clusterIP: serviceAddresses(lab)[0],
					clusterIPs: serviceAddresses(lab),
					ipFamilies: lab.families.map(family => family === 'ipv4' ? 'IPv4' : 'IPv6'),
					ipFamilyPolicy: lab.families.length > 1 ? 'RequireDualStack' : 'SingleStack',
					ports: [
						{name: 'dns', port: 53, protocol: 'UDP', targetPort: 53},
						{name: 'dns-tcp', port: 53, protocol: 'TCP', targetPort: 53},
					],
				},
			},
			{
				apiVersion: 'apps/v1',
				kind: 'Deployment',
				metadata: {name: 'coredns', ...inSystem, labels},
				spec: {
					replicas,
					selector: {matchLabels: labels},
					template: {
						metadata: {labels},
						spec: {
							serviceAccountName: 'coredns',
							priorityClassName: 'system-cluster-critical',
							// It must not ask itself.
							dnsPolicy: 'Default',
							containers: [{
								name: 'coredns',
								image: `registry.k8s.io/coredns/coredns:v${version}`,
								imagePullPolicy: 'IfNotPresent',
								args: ['-conf', '/etc/coredns/Corefile'],
								ports: [{name: 'dns', containerPort: 53, protocol: 'UDP'}, {name: 'dns-tcp', containerPort: 53, protocol: 'TCP'}],
								readinessProbe: {httpGet: {path: '/ready', port: 8181}, periodSeconds: 1, timeoutSeconds: 5},
								livenessProbe: {httpGet: {path: '/health', port: 8080}, initialDelaySeconds: 60, timeoutSeconds: 10, failureThreshold: 6},
								securityContext: {
									allowPrivilegeEscalation: false,
									readOnlyRootFilesystem: true,
									capabilities: {drop: ['ALL'], add: ['NET_BIND_SERVICE']},
								},
								volumeMounts: [{name: 'config', mountPath: '/etc/coredns', readOnly: true}],
							}],
							volumes: [{name: 'config', configMap: {name: 'coredns'}}],
						},
					},
				},
			},
		],
	};
}

/** The node's own resolver asks the cluster's DNS. A node that is not served yet waits a second, not five (resolv.conf(5)). */
function resolverFile(lab: LabTopology): FileDeclaration {
	const domain = clusterDomain(lab);
	return {
		path: '/etc/resolv.conf',
		text: [
			...serviceAddresses(lab).map(address => `nameserver ${address}`),
			`search default.svc.${domain} svc.${domain} ${domain}`,
			'options timeout:1 attempts:2',
			'',
		].join('\n'),
	};
}

export default defineOverlay({
	summary: 'The cluster\'s DNS: CoreDNS behind the Service kube-dns, for pods and for the nodes themselves',
	provides: ['dns'],
	needs: ['kubernetes', 'images'],
	roles: ['node'],
	replaces: ['/etc/resolv.conf'],
	options: {
		version: {default: '1.14.6', kind: 'version', summary: 'The version of CoreDNS'},
		dir: {default: '', kind: 'folder', summary: 'A folder with your own build of coredns'},
		replicas: {default: 1, minimum: 1, maximum: 50, whole: true, summary: 'How many pods serve'},
		upstream: {
			default: '', summary: 'Servers that are asked for other names, separated by spaces; without any, other names do not exist',
			pattern: {matches: '([^\\s{}]+( +[^\\s{}]+)*)?', wanted: 'addresses of DNS servers separated by spaces, such as 192.0.2.53 or 192.0.2.53:5353'},
		},
	},
	components: options => [{
		name: 'coredns',
		version: options.version,
		programs: [{name: 'coredns'}],
		dir: options.dir,
		release: {
			url: 'https://github.com/coredns/coredns/releases/download/vVERSION/coredns_VERSION_linux_amd64.tgz',
			checksumUrl: 'https://github.com/coredns/coredns/releases/download/vVERSION/coredns_VERSION_linux_amd64.tgz.sha256',
			paths: {coredns: 'coredns'},
		},
		go: {
			module: 'github.com/coredns/coredns',
			packages: {coredns: 'github.com/coredns/coredns'},
			goVersion: '1.25',
		},
	}],
	images: options => [{
		reference: `registry.k8s.io/coredns/coredns:v${options.version}`,
		source: {component: 'coredns', programs: {coredns: '/coredns'}, entrypoint: ['/coredns']},
	}],
	files: ({lab, machine, options}) => [
		resolverFile(lab),
		...(machine.index === 1 ? [{
			path: '/etc/vmlab/manifests/coredns.yaml',
			text: `${JSON.stringify(manifest(lab, options.version, options.replicas, options.upstream), undefined, 2)}\n`,
		}] : []),
	],
	ready: ({lab, machine}) => [{
		sentence: `the cluster's DNS answers ${machine.name}`,
		deadline: '90s',
		command: `getent ahosts kubernetes.default.svc.${clusterDomain(lab)}`,
	}],
	evidence: ({machine}) => machine.index === 1
		? [{name: 'coredns.txt', command: 'kubectl --namespace=kube-system describe pods --selector=k8s-app=kube-dns; kubectl --namespace=kube-system logs --selector=k8s-app=kube-dns'}]
		: [],
});
