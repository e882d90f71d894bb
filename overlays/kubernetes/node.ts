/** What every node has: kubelet and kube-proxy. */
import {urlHost, wholeReference, type FileDeclaration, type KernelDeclaration, type LabMachine, type LabTopology, type Route} from 'vmlab';
import {
	addressesOf, anyAddress, apiServerPort, apiServerUrl, cidrList, controlPlane, loopbackAddress, primaryAddress, serviceAddresses,
} from './cluster.ts';
import {authorityFile, keyedFiles, kubeconfigFiles, kubelet, kubeletServer, pki, proxy} from './credentials.ts';
import {argumentsFile} from './control-plane.ts';

/** The options that a node's files follow from. */
export interface NodeOptions {
	readonly clusterDomain: string;
	readonly proxyMode: string;
	readonly logLevel: number;
}

/** The socket that the lab's container runtime serves the CRI on: whoever provides `cri` has it as its option `socket`. */
function runtimeEndpoint(lab: LabTopology): string {
	const socket = lab.options[lab.providers['cri']!]?.['socket'];
	if (typeof socket !== 'string') {
		throw new Error(`the overlay \`${lab.providers['cri']}\` provides \`cri\`, so it must have an option \`socket\``);
	}

	return `unix://${socket}`;
}

/** KubeletConfiguration, kubelet.config.k8s.io/v1beta1. */
function kubeletConfiguration(lab: LabTopology, options: NodeOptions): object {
	return {
		apiVersion: 'kubelet.config.k8s.io/v1beta1',
		kind: 'KubeletConfiguration',
		address: anyAddress(lab),
		authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: authorityFile}},
		authorization: {mode: 'Webhook'},
		tlsCertFile: `${pki}/kubelet-server.crt`,
		tlsPrivateKeyFile: `${pki}/kubelet-server.key`,
		healthzBindAddress: loopbackAddress(lab),
		containerRuntimeEndpoint: runtimeEndpoint(lab),
		cgroupDriver: 'cgroupfs',
		clusterDNS: serviceAddresses(lab, 10),
		clusterDomain: options.clusterDomain,
		// What pods get that want the node's own resolver. The node's own file may name the cluster's DNS, which must not ask itself.
		resolvConf: '/etc/kubernetes/resolv.conf',
		failSwapOn: false,
		serializeImagePulls: false,
		// Images are put on the nodes before they are needed and cannot be fetched again, so they are never collected.
		imageGCHighThresholdPercent: 100,
		imageGCLowThresholdPercent: 99,
		evictionHard: {'memory.available': '50Mi', 'nodefs.available': '2%', 'nodefs.inodesFree': '1%', 'imagefs.available': '2%'},
		logging: {verbosity: options.logLevel},
	};
}

/** KubeProxyConfiguration, kubeproxy.config.k8s.io/v1alpha1. */
function proxyConfiguration(lab: LabTopology, machine: LabMachine, options: NodeOptions): object {
	return {
		apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
		kind: 'KubeProxyConfiguration',
		mode: options.proxyMode,
		// Not to bind to: it is what kube-proxy takes for the node's own address.
		bindAddress: primaryAddress(lab, machine),
		clientConnection: {kubeconfig: '/etc/kubernetes/kube-proxy.conf'},
		clusterCIDR: cidrList(lab, 'pods'),
		hostnameOverride: machine.name,
		healthzBindAddress: `${urlHost(anyAddress(lab))}:10256`,
		metricsBindAddress: `${urlHost(loopbackAddress(lab))}:10249`,
		logging: {verbosity: options.logLevel},
	};
}

/**
 * Routes for the node's own connections to Services, as ip(8) takes them. They are routed before kube-proxy translates
 * them, so without any route they end there; where to does not matter. A lab without a router has no default route.
 */
function serviceRoutes(lab: LabTopology, machine: LabMachine, routes: readonly Route[]): string[] {
	const device = machine.links.find(({addresses}) => addresses.length > 0)?.device;
	return lab.families
		.filter(family => device !== undefined && lab.services[family] !== undefined && !routes.some(route => route.family === family && route.to === 'default'))
		.map(family => `route replace ${lab.services[family]} dev ${device}`);
}

/** Families as Kubernetes spells them, in metrics and in a Service's `ipFamilies`. */
const familyNames = {ipv4: 'IPv4', ipv6: 'IPv6'} as const;

/** What the scripts in /usr/lib/vmlab must know of the cluster, as a shell reads it. */
function clusterEnvironment(lab: LabTopology, machine: LabMachine, routes: readonly Route[], options: NodeOptions): string {
	return [
		`API_SERVER=${apiServerUrl(lab)}`,
		`API_SERVER_HOST=${primaryAddress(lab, controlPlane(lab))}`,
		`API_SERVER_PORT=${apiServerPort}`,
		`NODE=${machine.name}`,
		`FAMILIES="${lab.families.map(family => familyNames[family]).join(' ')}"`,
		`PROXY_METRICS=http://${urlHost(loopbackAddress(lab))}:10249/metrics`,
		`PROXY_MODE=${options.proxyMode}`,
		`SERVICE_ROUTES="${serviceRoutes(lab, machine, routes).join(',')}"`,
		'',
	].join('\n');
}

/** The files that every node has. */
export function nodeFiles(lab: LabTopology, machine: LabMachine, routes: readonly Route[], options: NodeOptions): FileDeclaration[] {
	return [
		{path: authorityFile, authority: 'kubernetes'},
		...keyedFiles('kubelet-server', kubeletServer(lab, machine)),
		...kubeconfigFiles(lab, 'kubelet', kubelet(machine)),
		...kubeconfigFiles(lab, 'kube-proxy', proxy),
		{path: '/etc/kubernetes/kubelet.yaml', text: `${JSON.stringify(kubeletConfiguration(lab, options), undefined, 2)}\n`},
		{path: '/etc/kubernetes/kube-proxy.yaml', text: `${JSON.stringify(proxyConfiguration(lab, machine, options), undefined, 2)}\n`},
		argumentsFile('kubelet', [
			'--config=/etc/kubernetes/kubelet.yaml',
			'--kubeconfig=/etc/kubernetes/kubelet.conf',
			`--hostname-override=${machine.name}`,
			`--node-ip=${addressesOf(lab, machine).join(',')}`,
		]),
		{path: '/etc/kubernetes/cluster.env', text: clusterEnvironment(lab, machine, routes, options)},
		{path: '/etc/kubernetes/resolv.conf', text: ''},
		{path: '/etc/kubernetes/images', text: lab.images.map(reference => `${wholeReference(reference)}\n`).join('')},
		{path: '/etc/crictl.yaml', text: `runtime-endpoint: ${runtimeEndpoint(lab)}\nimage-endpoint: ${runtimeEndpoint(lab)}\ntimeout: 30\n`},
	];
}

/** The modules that a mode of kube-proxy cannot load by itself, and what kubelet would otherwise have to set. */
export function nodeKernel(options: NodeOptions): KernelDeclaration {
	const modules: Readonly<Record<string, readonly string[]>> = {
		nftables: ['nf_tables'],
		ipvs: ['ip_vs', 'ip_vs_rr', 'ip_vs_wrr', 'ip_vs_sh', 'dummy', 'ip_set', 'xt_set'],
		iptables: [],
	};
	return {
		modules: ['nf_conntrack', ...modules[options.proxyMode] ?? []],
		sysctls: {'vm.overcommit_memory': 1, 'kernel.panic': 10, 'kernel.panic_on_oops': 1, 'fs.inotify.max_user_instances': 1024},
	};
}
