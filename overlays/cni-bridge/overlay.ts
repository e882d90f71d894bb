import {defineOverlay, type Family, type LabMachine, type LabTopology, type Route} from 'vmlab';

const plugins = ['bridge', 'host-local', 'loopback', 'portmap'];

/** The pod subnets of other machines, each by the address that its machine has on the network that both are on. */
function podRoutes(lab: LabTopology, machine: LabMachine): Route[] {
	return lab.machines
		.filter(other => other.name !== machine.name)
		.flatMap(other => Object.entries(other.pods).flatMap(([family, to]) => {
			const via = neighbour(machine, other, family as Family);
			return via === undefined ? [] : [{family: family as Family, to, via: [via]}];
		}));
}

/** Another machine's address on a network that this machine is on too. */
function neighbour(machine: LabMachine, other: LabMachine, family: Family): string | undefined {
	const shared = other.links.find(link => link.addresses.length > 0 && machine.links.some(own => own.network === link.network));
	return shared?.addresses.find(address => address.family === family)?.address;
}

/** The network configuration list (CNI specification 1.0.0; the plugins' own documentation for what each takes). */
function networkConfiguration(lab: LabTopology, machine: LabMachine): string {
	const mtu = machine.links.find(({addresses}) => addresses.length > 0)?.mtu;
	return JSON.stringify({
		cniVersion: '1.0.0',
		name: 'vmlab',
		plugins: [
			{
				type: 'bridge',
				bridge: 'cbr0',
				isDefaultGateway: true,
				// A pod that reaches itself through a Service gets its frame back from the port that it sent it to.
				hairpinMode: true,
				// Pods are routed, so that everybody sees their real addresses; nothing in the lab needs them hidden.
				ipMasq: false,
				...(mtu !== undefined && {mtu}),
				ipam: {
					type: 'host-local',
					ranges: lab.families.flatMap(family => machine.pods[family] === undefined ? [] : [[{subnet: machine.pods[family]}]]),
				},
			},
			{type: 'portmap', capabilities: {portMappings: true}},
		],
	}, undefined, 2) + '\n';
}

export default defineOverlay({
	summary: 'Pods on a bridge of their node, with addresses from the node\'s own subnet, routed between nodes and by the router',
	provides: ['cni'],
	needs: ['base'],
	options: {
		version: {default: '1.9.1', kind: 'version', values: ['debian'], summary: 'The version of the CNI plugins; `debian` takes the image\'s'},
		dir: {default: '', kind: 'folder', summary: 'A folder with your own build of the plugins'},
	},
	components: options => [{
		name: 'cni-plugins',
		version: options.version,
		programs: plugins.map(name => ({name, path: `/usr/lib/cni/${name}`})),
		dir: options.dir,
		release: {
			url: 'https://github.com/containernetworking/plugins/releases/download/vVERSION/cni-plugins-linux-amd64-vVERSION.tgz',
			checksumUrl: 'https://github.com/containernetworking/plugins/releases/download/vVERSION/cni-plugins-linux-amd64-vVERSION.tgz.sha256',
			paths: Object.fromEntries(plugins.map(name => [name, name])),
		},
		go: {
			module: 'github.com/containernetworking/plugins',
			packages: {
				bridge: 'github.com/containernetworking/plugins/plugins/main/bridge',
				loopback: 'github.com/containernetworking/plugins/plugins/main/loopback',
				'host-local': 'github.com/containernetworking/plugins/plugins/ipam/host-local',
				portmap: 'github.com/containernetworking/plugins/plugins/meta/portmap',
			},
			ldflags: '-X github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion=vVERSION',
			goVersion: '1.24',
		},
		debian: {package: 'containernetworking-plugins', paths: Object.fromEntries(plugins.map(name => [name, `usr/lib/cni/${name}`]))},
		...(options.version === 'debian' && {anyDebianVersion: true}),
	}],
	kernel: ({lab, machine}) => machine.role === 'node'
		? {
			modules: ['bridge', 'br_netfilter', 'veth'],
			sysctls: {
				// A Service's answer that stays on the bridge must be translated back, so bridged frames pass the packet filter.
				...(lab.families.includes('ipv4') && {'net.ipv4.ip_forward': 1, 'net.bridge.bridge-nf-call-iptables': 1}),
				...(lab.families.includes('ipv6') && {'net.ipv6.conf.all.forwarding': 1, 'net.bridge.bridge-nf-call-ip6tables': 1}),
			},
		}
		: {},
	state: ['/var/lib/cni'],
	routes: ({lab, machine}) => machine.role === 'node' || machine.role === 'router' ? podRoutes(lab, machine) : [],
	files: ({lab, machine}) => machine.role === 'node'
		? [{path: '/etc/cni/net.d/10-vmlab.conflist', text: networkConfiguration(lab, machine)}]
		: [],
	evidence: ({machine}) => machine.role === 'node'
		? [{name: 'pod-network.txt', command: 'bridge link; bridge fdb; ls -l /var/lib/cni/networks/vmlab'}]
		: [],
});
