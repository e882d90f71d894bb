import {defineOverlay} from 'vmlab';

export default defineOverlay({
	summary: 'Tools to look at and to change what the kernel does with packets',
	needs: ['base'],
	packages: [
		'iproute2', 'nftables', 'iptables', 'ipset', 'ipvsadm', 'conntrack', 'ethtool', 'tcpdump', 'iputils-ping', 'iputils-tracepath',
		'iperf3', 'curl', 'netcat-openbsd', 'socat', 'bind9-dnsutils', 'jq',
	],
	evidence: () => [
		{name: 'addresses', command: 'ip address; ip -statistics link'},
		{name: 'routes', command: 'ip route show table all; ip -6 route show table all; ip rule; ip -6 rule'},
		{name: 'neighbours', command: 'ip neighbour'},
		{name: 'nftables', command: 'nft list ruleset'},
		{name: 'iptables', command: 'iptables-save; ip6tables-save'},
		{name: 'conntrack', command: 'conntrack -L 2>/dev/null; conntrack -L -f ipv6 2>/dev/null; conntrack -S'},
		{name: 'ipvs', command: 'ipvsadm -L -n --stats 2>/dev/null; ipvsadm -L -n --connection 2>/dev/null; true'},
		{name: 'sockets', command: 'ss -tulpn'},
	],
});
