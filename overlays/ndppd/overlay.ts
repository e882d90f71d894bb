import {defineOverlay, type LabMachine} from 'vmlab';

/** /etc/ndppd.conf (ndppd.conf(5)): who asks on the machine's first link for an address of its pods is answered with the machine's own. */
function configuration({links, pods}: LabMachine): string {
	return [`proxy ${links[0]!.device} {`, ...(pods.ipv6 === undefined ? [] : [`\trule ${pods.ipv6} {`, '\t\tstatic', '\t}']), '}', ''].join('\n');
}

export default defineOverlay({
	summary: 'Neighbour discovery proxy: nodes answer on their link for the IPv6 addresses of their pods, for routers that take these for neighbours',
	needs: ['base', 'cni'],
	roles: ['node'],
	packages: ['ndppd'],
	files: ({machine}) => [{path: '/etc/ndppd.conf', text: configuration(machine)}],
	units: () => ['vmlab-ndppd.service'],
	ready: ({machine}) => [{sentence: `ndppd on ${machine.name} runs`, deadline: '20s', unit: 'vmlab-ndppd.service'}],
	evidence: () => [{name: 'ndppd.txt', command: 'cat /etc/ndppd.conf; journalctl --no-pager -u vmlab-ndppd.service; ip -6 neighbour show proxy'}],
});
