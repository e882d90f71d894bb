import {defineOverlay} from 'vmlab';
import {apiServerPort, controlPlane, hasControlPlane} from './cluster.ts';
import {controlPlaneFiles} from './control-plane.ts';
import {administrator} from './credentials.ts';
import {nodeFiles, nodeKernel} from './node.ts';
import {components, images} from './programs.ts';

const controlPlaneUnits = ['kube-apiserver.service', 'kube-controller-manager.service', 'kube-scheduler.service', 'vmlab-nodes.service', 'vmlab-manifests.service'];
const nodeUnits = ['kubelet.service', 'kube-proxy.service'];

export default defineOverlay({
	summary: 'A Kubernetes cluster: the control plane on the first node, kubelet and kube-proxy on every node',
	needs: options => ['base', 'etcd', 'images', options.runtime],
	roles: ['node'],
	options: {
		version: {default: '1.36.3', kind: 'version', summary: 'The version of Kubernetes'},
		dir: {default: '', kind: 'folder', summary: 'A folder with your own build: kubelet, kube-apiserver, kube-controller-manager, kube-scheduler, kube-proxy, kubectl'},
		runtime: {default: 'containerd', capability: 'cri', summary: 'The overlay that is the container runtime: containerd, crio, or one of your own that provides `cri`'},
		proxyMode: {default: 'nftables', values: ['nftables', 'ipvs', 'iptables'], summary: 'How kube-proxy makes Services work', late: 'systemctl restart systemd-modules-load.service systemd-sysctl.service kube-proxy.service'},
		clusterDomain: {
			default: 'cluster.local', summary: 'The DNS domain of the cluster',
			pattern: {matches: '[a-z\\d]([a-z\\d-]*[a-z\\d])?(\\.[a-z\\d]([a-z\\d-]*[a-z\\d])?)*', wanted: 'a DNS domain in small letters without a dot at its end, such as cluster.local'},
		},
		testImages: {default: true, summary: 'Bring the test server of Kubernetes\' own tests (agnhost) as a container image'},
		logLevel: {default: 0, minimum: 0, maximum: 10, whole: true, summary: 'How much the daemons log: 0 little, 4 much, 10 everything'},
		crictlVersion: {default: '1.36.0', kind: 'version', summary: 'The version of crictl'},
	},
	components,
	images,
	packages: ['conntrack', 'curl', 'ethtool', 'ipset', 'iptables', 'ipvsadm', 'jq', 'nftables'],
	kernel: ({options}) => nodeKernel(options),
	state: ['/var/lib/kubelet', '/var/log/pods'],
	files: ({lab, machine, routes, options}) => [
		...nodeFiles(lab, machine, routes, options),
		...(hasControlPlane(machine) ? controlPlaneFiles(lab, machine, options) : []),
	],
	units: ({machine}) => [...(hasControlPlane(machine) ? controlPlaneUnits : []), ...nodeUnits],
	ready: ({machine}) => [
		...(hasControlPlane(machine) ? [
			{sentence: 'the API server is ready', deadline: '60s', unit: 'vmlab-api-server.service'} as const,
			{sentence: 'the manifests of the overlays are applied', deadline: '60s', unit: 'vmlab-manifests.service'} as const,
		] : []),
		{sentence: `the container images are on ${machine.name}`, deadline: '30s', command: '/usr/lib/vmlab/images-are-there'},
		{sentence: `${machine.name} is Ready`, deadline: '90s', command: '/usr/lib/vmlab/node-is-ready'},
		{sentence: `kube-proxy on ${machine.name} has written its rules`, deadline: '60s', command: '/usr/lib/vmlab/proxy-is-ready'},
	],
	evidence: ({machine}) => [
		{name: 'kubelet.txt', command: 'journalctl --no-pager -u kubelet.service'},
		{name: 'kube-proxy.txt', command: 'journalctl --no-pager -u kube-proxy.service'},
		{name: 'service-rules.txt', command: 'nft list ruleset; ipvsadm --list --numeric; ipset list; ip -brief address show'},
		...(hasControlPlane(machine) ? [
			{name: 'cluster.txt', command: 'kubectl get nodes,pods,services,endpointslices --all-namespaces --output=wide; kubectl describe nodes'},
			{name: 'events.txt', command: 'kubectl get events --all-namespaces --sort-by=.lastTimestamp'},
			{name: 'control-plane.txt', command: 'journalctl --no-pager -u kube-apiserver.service -u kube-controller-manager.service -u kube-scheduler.service -u vmlab-manifests.service'},
		] : []),
	],
	forwards: ({lab}) => [{name: 'kube-apiserver', machine: controlPlane(lab).name, port: apiServerPort, hostPort: 18080}],
	access: () => ({forward: 'kube-apiserver', authority: 'kubernetes', client: administrator}),
});
