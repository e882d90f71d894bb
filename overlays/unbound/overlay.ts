import {defineOverlay, type LabMachine, type LabTopology} from 'vmlab';

/** The name server of the overlay `nsd`: its zone, and its addresses with those that the asking machine has a link for first. */
function authoritative(lab: LabTopology, asking: LabMachine): {zone: string; addresses: string[]} | undefined {
	const nsd = lab.options['nsd'];
	const server = lab.machines.find(({role}) => role === nsd?.['role']);
	const addresses = server?.links
		.filter(({network}) => asking.links.some(own => own.network === network))
		.flatMap(link => link.addresses.map(({address}) => address));
	return nsd === undefined || addresses === undefined || addresses.length === 0 ? undefined : {zone: String(nsd['zone']), addresses};
}

/** What all of them have: one thread, no files, no privileges to give up, nothing to validate against (unbound.conf(5)). */
function server(interfaces: readonly string[], modules: string, more: readonly string[]): string[] {
	return [
		'server:',
		'    chroot: ""',
		'    username: ""',
		'    pidfile: ""',
		'    use-syslog: no',
		'    num-threads: 1',
		...interfaces.map(address => `    interface: ${address}`),
		'    access-control: 0.0.0.0/0 allow',
		'    access-control: ::/0 allow',
		`    module-config: "${modules}"`,
		...more,
	];
}

/** The machine's own addresses, and the loopback's, in the lab's families. */
function loopback(lab: LabTopology): string[] {
	return lab.families.map(family => family === 'ipv4' ? '127.0.0.1' : '::1');
}

interface Options {
	readonly dns64: boolean;
	readonly prefix: string;
	readonly upstream: string;
}

/**
 * The resolver of the lab, on a router: it serves the lab's families, makes AAAA records of A records for those that have no other, and asks the lab's
 * name server. A lab is closed: a name that nobody in it has does not exist, and saying so at once spares the client its waits.
 */
function resolver(lab: LabTopology, machine: LabMachine, {dns64, prefix, upstream}: Options): string {
	const zone = authoritative(lab, machine);
	const addresses = machine.links.flatMap(link => link.addresses.filter(({family}) => lab.families.includes(family)).map(({address}) => address));
	return [
		...server([...loopback(lab), ...addresses], dns64 ? 'dns64 iterator' : 'iterator', [
			...(dns64 ? [`    dns64-prefix: ${String(lab.options['nat64']?.['prefix'] ?? prefix)}`] : []),
			...(upstream === '' ? ['    local-zone: "." static'] : []),
			...transparent(zone?.zone),
		]),
		...(zone === undefined ? [] : ['stub-zone:', `    name: "${zone.zone}."`, ...zone.addresses.map(address => `    stub-addr: ${address}`)]),
		...(upstream === '' ? [] : forwarding(upstream.split(/ +/))),
		'',
	].join('\n');
}

/** A zone of the lab below `test`, which unbound answers for itself unless it is told not to. */
function transparent(zone: unknown): string[] {
	return zone === undefined ? [] : [`    local-zone: "${String(zone)}." transparent`];
}

/** A node's own: it listens on the loopback, and asks the router's for everything. */
function local(lab: LabTopology): string {
	const router = lab.machines.find(({name}) => name === 'router-1');
	return [
		...server(loopback(lab), 'iterator', transparent(lab.options['nsd']?.['zone'])),
		...forwarding(lab.families.flatMap(family => router?.address[family] ?? [])),
		'',
	].join('\n');
}

function forwarding(addresses: readonly string[]): string[] {
	return ['forward-zone:', '    name: "."', ...addresses.map(address => `    forward-addr: ${address}`)];
}

export default defineOverlay({
	summary: 'DNS resolvers by unbound: with DNS64 on the router, and on nodes a local one that is started by hand',
	needs: ['base'],
	roles: ['node', 'router'],
	options: {
		dns64: {default: true, summary: 'Make AAAA records of A records, on the router, for names that have no AAAA record'},
		prefix: {
			default: 'fd00:64::/96', summary: 'The prefix of such AAAA records; `nat64.prefix` wins where that overlay is',
			pattern: {matches: '[\\da-f:]+::/96', wanted: 'an IPv6 prefix of 96 bits, such as fd00:64::/96'},
		},
		upstream: {
			default: '', summary: 'Servers that are asked for all names but those of the lab\'s own zone, separated by spaces; without any, other names do not exist',
			pattern: {matches: '([\\da-fA-F:.]+( +[\\da-fA-F:.]+)*)?', wanted: 'addresses of DNS servers separated by spaces, such as 192.0.2.53'},
		},
	},
	packages: ['bind9-dnsutils', 'unbound'],
	files: ({lab, machine, options}) => [
		{path: '/etc/vmlab/unbound.conf', text: machine.role === 'router' ? resolver(lab, machine, options) : local(lab)},
	],
	units: ({machine}) => machine.role === 'router' ? ['vmlab-unbound.service'] : [],
	// The numbers and ports of its queries come from a generator of its own.
	restartInForks: () => ['vmlab-unbound.service'],
	ready: ({machine}) => machine.role === 'router' ? [{sentence: `unbound serves on ${machine.name}`, deadline: '30s', unit: 'vmlab-unbound.service'}] : [],
	evidence: () => [{name: 'unbound.txt', command: 'journalctl --no-pager -u vmlab-unbound.service; cat /etc/vmlab/unbound.conf'}],
});
