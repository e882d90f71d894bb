/** A lab without IPv4: neither in what machines have, nor in what the cluster says, nor on the wire. */
import {claim, type StepContext} from 'vmlab';
import {type Caller, noneHasProblem} from './caller.ts';

/**
 * Claims that outside of the maintenance VRF and 127/8 no machine has an IPv4 address or route, and that nobody listens on IPv4 alone; but for ssh, which is the
 * host's way in. Sockets of IPv6 that would take IPv4 too (`*:10250`) have no address that it could come to.
 */
export async function machinesHaveNoIpv4({lab, machine}: StepContext): Promise<void> {
	for (const {name} of lab.machines) {
		const {$} = machine(name);
		const {stdout: addresses} = await $`ip -4 -json address show`;
		const devices = JSON.parse(addresses) as Array<{ifname: string; master?: string; addr_info: Array<{local: string}>}>;
		const own = devices
			.filter(({master}) => master !== 'mgmt')
			.flatMap(({ifname, addr_info: found}) => found.map(({local}) => `${local} on ${ifname}`))
			.filter((text) => !/^127\.\S+ on (lo|mgmt)$/.test(text));
		claim(own.length === 0, `${name} has IPv4 addresses: ${own.join(', ')}`);
		const maintenance = devices.flatMap(({ifname, master}) => (master === 'mgmt' ? ifname : []));
		const {stdout: routes} = await $`ip -4 -json route show table all`;
		const others = (JSON.parse(routes) as Array<{dst: string; dev?: string; type?: string; table?: string}>)
			// Those of the main table have no `table` here, and there is to be none.
			.filter(({dst, dev, type, table}) => table === undefined || !((dst.startsWith('127.') && (dev === 'lo' || dev === 'mgmt')) || maintenance.includes(dev ?? '') || type === 'unreachable'));
		claim(others.length === 0, `${name} has IPv4 routes: ${others.map(({dst, dev, table = 'main'}) => `${dst} on ${dev} in ${table}`).join(', ')}`);
		const {stdout: sockets} = await $`ss -H -4 -l -n -t -u`;
		const foreign = sockets.split('\n').map((line) => line.trim().split(/\s+/)[4] ?? '').filter((local) => local !== '' && !/^(127\.|0\.0\.0\.0:22$)/.test(local));
		claim(foreign.length === 0, `on ${name} somebody listens on IPv4: ${foreign.join(', ')}`);
	}
}

/** Claims that what Kubernetes knows of nodes, pods, Services and the API server is IPv6 alone, that etcd serves on IPv6, and that DNS has no IPv4 address. */
export async function clusterHasNoIpv4({cluster, node, lab}: StepContext): Promise<void> {
	const [nodes, pods, services, slices] = await Promise.all([
		cluster.get('nodes'), cluster.get('pods', '--all-namespaces'), cluster.get('services', '--all-namespaces'), cluster.get('endpointslices', '--all-namespaces'),
	]);
	const addresses: string[] = [
		...nodes.items.flatMap(({status, spec}: any) => [...status.addresses.filter(({type}: any) => type === 'InternalIP').map(({address}: any) => address), ...spec.podCIDRs]),
		...pods.items.flatMap(({status}: any) => [...status.podIPs ?? [], ...status.hostIPs ?? []].map(({ip}: any) => ip)),
		...services.items.flatMap(({spec, status}: any) => [...spec.clusterIPs.filter((ip: string) => ip !== 'None'), ...(status.loadBalancer.ingress ?? []).map(({ip}: any) => ip)]),
		...slices.items.flatMap(({endpoints}: any) => (endpoints ?? []).flatMap((endpoint: any) => endpoint.addresses)),
	];
	claim(addresses.length >= 8, `the cluster tells of ${addresses.length} addresses only, which is too few to be all`, addresses);
	const ipv4 = addresses.filter((address) => !address.includes(':'));
	claim(ipv4.length === 0, `the cluster has IPv4 addresses: ${ipv4.join(', ')}`);
	const first = node('node-1');
	// etcd's client and peer ports, and the API server's.
	const {stdout: sockets} = await first.$`ss -H -l -n -t -p`;
	for (const port of [2379, 2380, 6443]) {
		const local = sockets.split('\n').map((line) => line.split(/\s+/)[3] ?? '').filter((place) => place.endsWith(`:${port}`));
		// The API server takes all addresses, of which none is IPv4; etcd only those that it was given.
		const isIpv6 = port === 6443 ? /^(\[|\*:)/ : /^\[/;
		claim(local.length > 0 && local.every((place) => isIpv6.test(place)), `port ${port} of node-1 listens on: ${local.join(', ') || 'nothing'}`);
	}

	const name = `kubernetes.default.svc.${String(lab.options['kubernetes']?.['clusterDomain'])}`;
	for (const {name: host} of lab.machines.filter(({role}) => role === 'node')) {
		const ask = async (type: string): Promise<string> => (await node(host).$`dig +short +time=5 ${type} ${name}`).stdout;
		const [a, aaaa] = [await ask('A'), await ask('AAAA')];
		claim(a === '' && aaaa.includes(':'), `on ${host} DNS has for ${name} the IPv4 address \`${a}\` and the IPv6 address \`${aaaa}\``);
	}
}

/** Claims that callers have no IPv4 address in their networks, whatever the cluster says of them; but for the loopback's, and for lines of ip(8) that are `excepted`. */
export async function callersHaveNoIpv4(callers: readonly Caller[], excepted: (line: string) => boolean = () => false): Promise<void> {
	await noneHasProblem(callers, 'IPv6 alone', async (caller) => {
		const {stdout, exitCode} = await caller.run('ip', '-4', '-oneline', 'address', 'show');
		const foreign = stdout.split('\n').filter((line) => line !== '' && !/ inet 127\.\S+ scope host /.test(line) && !excepted(line));
		return exitCode === 0 && foreign.length === 0 ? undefined : `ip(8) ends with ${exitCode} and says ${foreign.join('; ')}`;
	});
}

/** Claims that all networks have carried IPv6, and since the boot no frame of IPv4 or ARP. Gives how much they carried. */
export async function wireHasNoIpv4({lab, fabric}: StepContext): Promise<string> {
	const told: string[] = [];
	for (const {name} of lab.networks) {
		const {frames: {ipv4, arp, ipv6}} = await fabric.traffic(name);
		claim(ipv6 > 0, `the network ${name} has carried no IPv6 either: nothing was counted`);
		claim(ipv4 === 0 && arp === 0, `the network ${name} has carried ${ipv4} frames of IPv4 and ${arp} of ARP`);
		told.push(`${name} ${ipv6}`);
	}

	return told.join(', ');
}
