import {defineOverlay} from 'vmlab';

/** How a machine that runs takes on another translator, or another server for DNS64. */
const late = '/usr/lib/vmlab/take-on-nat64';

export default defineOverlay({
	summary: 'A way from an IPv6-only cluster to IPv4: NAT64 by tayga or jool on the router, DNS64 by CoreDNS or unbound',
	needs: ['base', 'coredns', 'jool', 'tayga', 'unbound'],
	roles: ['node', 'router'],
	options: {
		translator: {default: 'tayga', values: ['tayga', 'jool'], summary: 'What translates on the router: tayga (stateless) or jool (stateful)', late},
		dns64: {default: 'coredns', values: ['coredns', 'unbound'], summary: 'What makes AAAA records of A records: the cluster\'s CoreDNS, or the router\'s unbound, which CoreDNS then asks', late},
		prefix: {
			default: 'fd00:64::/96', summary: 'The IPv6 prefix that IPv4 addresses are within',
			pattern: {matches: '[\\da-f:]+::/96', wanted: 'an IPv6 prefix of 96 bits, such as fd00:64::/96'},
		},
	},
	files: ({machine, options}) => machine.role === 'router'
		? [{path: '/etc/vmlab/nat64', text: `translator=${options.translator}\ndns64=${options.dns64}\nprefix=${options.prefix}\n`}]
		: [],
	evidence: ({machine}) => machine.role === 'router' ? [{name: 'nat64.txt', command: 'cat /etc/vmlab/nat64; ip -6 route; ip -4 route; dmesg | tail -n 50'}] : [],
});
