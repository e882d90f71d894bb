import {addressAt, defineOverlay, withinPrefix, type Family, type LabMachine, type LabTopology} from 'vmlab';

/** The tunnel that packets go to tayga and come from it by. */
const device = 'nat64';

/** The prefix that IPv4 addresses are within: the lab's, where the overlay `nat64` says it for all. */
function prefixOf(lab: LabTopology, own: string): string {
	return String(lab.options['nat64']?.['prefix'] ?? own);
}

/** RFC 6052, 2.1. Private addresses must not be within it, so tayga's own needs another one. */
const wellKnownPrefix = '64:ff9b::/96';
const ownAddressBesideIt = 'fd00:64::1';

/** tayga's own address: the first of the pool within the prefix. */
function ownAddress(prefix: string, pool: string): string {
	return prefix === wellKnownPrefix ? ownAddressBesideIt : withinPrefix(prefix, addressAt(pool, 1));
}

/** tayga.conf(5). It wants its own IPv6 address to be named only where that does not follow from the other two. */
function configuration(prefix: string, pool: string): string {
	return [
		`tun-device ${device}`,
		`ipv4-addr ${addressAt(pool, 1)}`,
		...(prefix === wellKnownPrefix ? [`ipv6-addr ${ownAddressBesideIt}`] : []),
		`prefix ${prefix}`,
		`dynamic-pool ${pool}`,
		'data-dir /var/lib/vmlab-tayga',
		'',
	].join('\n');
}

/** What ip(8) does with the tunnel. It is as wide as the machine's widest link: what is narrower tells by itself. */
function tunnel({links}: LabMachine, prefix: string, pool: string): string {
	return [
		`link set dev ${device} mtu ${Math.max(...links.map(({mtu}) => mtu))} up`,
		...(prefix === wellKnownPrefix ? [`route add ${ownAddressBesideIt}/128 dev ${device}`] : []),
		`route add ${prefix} dev ${device}`,
		`route add ${pool} dev ${device}`,
		'',
	].join('\n');
}

/** The machine's devices on networks with a family. */
function devicesWith({links}: LabMachine, family: Family): string[] {
	return links.filter(({addresses}) => addresses.some(address => address.family === family)).map(link => link.device);
}

/** What leaves towards IPv4 leaves with the router's own address: the pool's addresses are known to nobody else. */
function masquerading(machine: LabMachine, pool: string): string {
	return [
		'table ip vmlab-tayga',
		'delete table ip vmlab-tayga',
		'table ip vmlab-tayga {',
		'\tchain postrouting {',
		'\t\ttype nat hook postrouting priority srcnat; policy accept;',
		...devicesWith(machine, 'ipv4').map(name => `\t\tip saddr ${pool} oifname "${name}" masquerade`),
		'\t}',
		'}',
		'',
	].join('\n');
}

export default defineOverlay({
	summary: 'NAT64 on the router by tayga: stateless, with a pool of IPv4 addresses that is masqueraded',
	needs: ['base'],
	roles: ['router'],
	options: {
		prefix: {
			default: 'fd00:64::/96', summary: 'The IPv6 prefix that IPv4 addresses are within; `nat64.prefix` wins where that overlay is',
			pattern: {matches: '[\\da-f:]+::/96', wanted: 'an IPv6 prefix of 96 bits, such as fd00:64::/96'},
		},
		pool: {
			default: '192.168.255.0/24', summary: 'The IPv4 addresses that hosts of the IPv6 side have between tayga and masquerading, one each',
			pattern: {matches: '\\d+\\.\\d+\\.\\d+\\.\\d+/\\d+', wanted: 'an IPv4 subnet, such as 192.168.255.0/24'},
		},
	},
	packages: ['iproute2', 'iputils-ping', 'nftables', 'tayga'],
	kernel: () => ({modules: ['nf_tables', 'tun'], sysctls: {'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1}}),
	files: ({lab, machine, options}) => [
		{path: '/etc/vmlab/tayga.conf', text: configuration(prefixOf(lab, options.prefix), options.pool)},
		{path: '/etc/vmlab/tayga.network', text: tunnel(machine, prefixOf(lab, options.prefix), options.pool)},
		{path: '/etc/vmlab/tayga.nft', text: masquerading(machine, options.pool)},
	],
	units: () => ['vmlab-tayga.service'],
	ready: ({lab, machine, options}) => [{
		sentence: `tayga translates on ${machine.name}, where it is to`,
		deadline: '30s',
		command: `/usr/lib/vmlab/tayga-is-ready ${ownAddress(prefixOf(lab, options.prefix), options.pool)}`,
	}],
	evidence: () => [{
		name: 'tayga.txt',
		command: `journalctl --no-pager -u vmlab-tayga.service; cat /var/lib/vmlab-tayga/dynamic.map; ip -statistics link show ${device}; nft list table ip vmlab-tayga; conntrack -L 2>/dev/null`,
	}],
});
