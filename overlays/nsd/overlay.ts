import {defineOverlay, type Family, type LabMachine, type LabTopology} from 'vmlab';

/** A record: `v4 A server-1`, of a machine's address or of an address. */
const record = '[\\w*.-]+ (A|AAAA) [\\w:.-]+';

/** The type of the records that hold a family's addresses. */
const types: Readonly<Record<Family, string>> = {ipv4: 'A', ipv6: 'AAAA'};

/** All addresses of a machine's links. */
function addressesOf({links}: LabMachine): Array<{family: Family; address: string}> {
	return links.flatMap(({addresses}) => addresses);
}

/** A record of the option as a zone's file has it: a machine's name is its first address of the record's family. */
function extra(lab: LabTopology, text: string): string {
	const [name = '', type = '', value = ''] = text.split(' ');
	const machine = lab.machines.find(candidate => candidate.name === value);
	const address = machine === undefined ? value : addressesOf(machine).find(({family}) => types[family] === type)?.address;
	if (address === undefined) {
		throw new Error(`the option \`nsd.records\` has \`${text}\`, but ${value} has no address for a record ${type}`);
	}

	return `${name} ${type} ${address}`;
}

/** The zone (RFC 1035, 5.1): every machine with all its addresses, and the records of the option. */
function zoneFile(lab: LabTopology, machine: LabMachine, zone: string, records: string): string {
	return [
		`$ORIGIN ${zone}.`,
		'$TTL 60',
		`@ SOA ${machine.name} hostmaster 1 3600 600 86400 10`,
		`@ NS ${machine.name}`,
		...lab.machines.flatMap(each => addressesOf(each).map(({family, address}) => `${each.name} ${types[family]} ${address}`)),
		...records.split(',').map(text => text.trim()).filter(text => text !== '').map(text => extra(lab, text)),
		'',
	].join('\n');
}

/** nsd.conf(5): one process, on the machine's own addresses, that keeps nothing. */
function configuration(machine: LabMachine, zone: string): string {
	return [
		'server:',
		'    server-count: 1',
		...addressesOf(machine).map(({address}) => `    ip-address: ${address}`),
		'    username: ""',
		'    database: ""',
		'    pidfile: ""',
		'    zonesdir: /etc/vmlab',
		'    zonelistfile: /run/vmlab-nsd/zones',
		'    xfrdfile: /run/vmlab-nsd/transfers',
		'    xfrdir: /run/vmlab-nsd',
		'remote-control:',
		'    control-enable: no',
		'zone:',
		`    name: ${zone}`,
		'    zonefile: /etc/vmlab/nsd.zone',
		'',
	].join('\n');
}

export default defineOverlay({
	summary: 'An authoritative DNS server by nsd, with a zone of the lab\'s machines and of records as you like',
	needs: ['base'],
	options: {
		role: {default: 'server', summary: 'The role of the machines that serve', pattern: {matches: '[a-z][a-z\\d-]*', wanted: 'a role of the lab, such as server'}},
		zone: {default: 'lab.test', summary: 'The zone', pattern: {matches: '[a-z\\d-]+(\\.[a-z\\d-]+)*', wanted: 'a DNS domain in small letters without a dot at its end, such as lab.test'}},
		records: {
			default: '', summary: 'More records, separated by commas: NAME A|AAAA, and an address or the name of a machine',
			pattern: {matches: `(${record}( *, *${record})*)?`, wanted: 'records separated by commas, such as `both A server-1, both AAAA router-1, *.old A 192.0.2.1`'},
		},
	},
	packages: ['nsd'],
	files: ({lab, machine, options}) => machine.role === options.role
		? [
			{path: '/etc/vmlab/nsd.conf', text: configuration(machine, options.zone)},
			{path: '/etc/vmlab/nsd.zone', text: zoneFile(lab, machine, options.zone, options.records)},
		]
		: [],
	units: ({machine, options}) => machine.role === options.role ? ['vmlab-nsd.service'] : [],
	ready: ({machine, options}) => machine.role === options.role ? [{sentence: `nsd serves ${options.zone} on ${machine.name}`, deadline: '30s', unit: 'vmlab-nsd.service'}] : [],
	evidence: ({machine, options}) => machine.role === options.role ? [{name: 'nsd.txt', command: 'journalctl --no-pager -u vmlab-nsd.service; cat /etc/vmlab/nsd.conf /etc/vmlab/nsd.zone'}] : [],
});
