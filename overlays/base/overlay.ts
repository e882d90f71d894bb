import {defineOverlay} from 'vmlab';
import {devices, hosts, network, nics, sysctls} from './network.ts';

export default defineOverlay({
	summary: 'What every machine has: its name, its network, ssh for the host, a shell on the console',
	packages: ['bash', 'dropbear-bin', 'iproute2', 'iputils-ping', 'kmod', 'openssh-sftp-server', 'procps', 'util-linux'],
	kernel: () => ({modules: []}),
	files: (context) => [
		{path: '/etc/hostname', text: `${context.machine.name}\n`},
		{path: '/etc/hosts', text: hosts(context.lab, context.machine)},
		{path: '/etc/resolv.conf', text: ''},
		{path: '/etc/vmlab/nics', text: nics(context)},
		...(devices(context) === '' ? [] : [{path: '/etc/vmlab/devices', text: devices(context)}]),
		{path: '/etc/vmlab/sysctls', text: sysctls(context)},
		{path: '/etc/vmlab/network', text: network(context)},
		{path: '/etc/ssh/ssh_host_ed25519_key', mode: 0o600, ssh: 'host-key'},
		{path: '/root/.ssh/authorized_keys', mode: 0o600, ssh: 'authorized-key'},
	],
	units: () => ['vmlab-network.service', 'vmlab-ssh.service', 'vmlab-console.service', 'vmlab-forked.service'],
	ready: () => [
		{sentence: 'the network is set up', deadline: '20s', unit: 'vmlab-network.service'},
		{sentence: 'systemd has reached multi-user.target', deadline: '60s', unit: 'multi-user.target'},
	],
	evidence: () => [
		{name: 'journal.txt', command: 'journalctl --boot --no-pager --output=short-precise'},
		{name: 'units.txt', command: 'systemctl --failed --no-pager --full; systemctl list-jobs --no-pager; systemd-analyze critical-chain --no-pager'},
		{name: 'network.txt', command: 'ip -details -statistics address; for f in -4 -6; do ip $f rule; ip $f route show table all; ip $f neighbour; done; ip nexthop; ss -anptu'},
		{name: 'counters.txt', command: 'nstat -a -z -s; tc -statistics qdisc show; cat /proc/net/softnet_stat'},
		{name: 'dmesg.txt', command: 'dmesg --decode'},
		{name: 'resources.txt', command: 'uptime; free -m; df -h; ps -eo pid,ppid,rss,pcpu,args --sort=-rss'},
	],
});
