import {defineOverlay, type LabTopology} from 'vmlab';

/** The prefix that IPv4 addresses are within: the lab's, where the overlay `nat64` says it for all. */
function prefixOf(lab: LabTopology, own: string): string {
	return String(lab.options['nat64']?.['prefix'] ?? own);
}

export default defineOverlay({
	summary: 'NAT64 on the router by jool: stateful, in the kernel, with the router\'s own IPv4 addresses',
	needs: ['base'],
	roles: ['router'],
	options: {
		prefix: {
			default: 'fd00:64::/96', summary: 'The IPv6 prefix that IPv4 addresses are within; `nat64.prefix` wins where that overlay is',
			pattern: {matches: '[\\da-f:]+::/96', wanted: 'an IPv6 prefix of 96 bits, such as fd00:64::/96'},
		},
	},
	packages: ['jool-tools', 'kmod'],
	modulePackages: ['jool-dkms'],
	kernel: () => ({
		sysctls: {
			'net.ipv4.ip_forward': 1,
			'net.ipv6.conf.all.forwarding': 1,
			// The kernel's own default, which jool relies on: it takes ports above it, and the router's own connections must not have them.
			'net.ipv4.ip_local_port_range': '32768 60999',
		},
	}),
	files: ({lab, options}) => [{path: '/etc/vmlab/jool', text: `PREFIX=${prefixOf(lab, options.prefix)}\n`}],
	units: () => ['vmlab-jool.service'],
	ready: ({machine}) => [{sentence: `jool translates on ${machine.name}, where it is to`, deadline: '30s', command: '/usr/lib/vmlab/jool-is-ready'}],
	evidence: () => [{
		name: 'jool.txt',
		command: [
			'journalctl --no-pager -u vmlab-jool.service', 'jool instance display', 'jool -i vmlab global display', 'jool -i vmlab pool4 display',
			...['tcp', 'udp', 'icmp'].flatMap(protocol => ['bib', 'session'].map(table => `jool -i vmlab ${table} display --${protocol} --numeric`)),
			'jool -i vmlab stats display --explain', 'dmesg | tail -n 50',
		].join('; '),
	}],
});
