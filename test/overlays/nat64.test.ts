import test from 'ava';
import type {LabError} from '../../lab/host/error.ts';
import {nat64Lab} from '../../scripts/labs/nat64.ts';
import {allText, machineOf, planOfLab, textOf} from './cluster-plan.ts';

/** CoreDNS's configuration in a lab. */
async function corefileOf(...settings: string[]): Promise<string> {
	const plan = await planOfLab(nat64Lab, settings);
	const {items} = JSON.parse(textOf(machineOf(plan, 'node-1'), '/etc/vmlab/manifests/coredns.yaml')) as {items: Array<{kind: string; data?: {Corefile: string}}>};
	return items.find(({kind}) => kind === 'ConfigMap')?.data?.Corefile ?? '';
}

test('the nodes of the lab have no IPv4 address, and its server has no IPv6 address', async t => {
	const plan = await planOfLab(nat64Lab);
	t.deepEqual(machineOf(plan, 'node-1').links.flatMap(({addresses}) => addresses.map(({family}) => family)), ['ipv6']);
	t.deepEqual(machineOf(plan, 'server-1').links.flatMap(({addresses}) => addresses.map(({family}) => family)), ['ipv4']);
	t.deepEqual(machineOf(plan, 'router-1').links.map(({mtu, addresses}) => [mtu, addresses[0]?.family]), [[1500, 'ipv6'], [1300, 'ipv4']]);
	t.notRegex(textOf(machineOf(plan, 'node-1'), '/etc/hosts'), /server-1/);
	t.deepEqual([...allText(machineOf(plan, 'node-2')).matchAll(/\b(?!127\.|0\.0\.0\.0)\d+\.\d+\.\d+\.\d+\b/g)].map(([match]) => match), []);
});

test('the four pairs of translator and DNS64 are late changes of one lab', async t => {
	const early = await planOfLab(nat64Lab);
	for (const settings of [['nat64.translator=jool'], ['nat64.dns64=unbound'], ['nat64.translator=jool', 'nat64.dns64=unbound']]) {
		const {change} = await planOfLab(nat64Lab, settings);
		t.is(change?.early.key, early.key, settings.join(' '));
		t.deepEqual(change?.commands, ['/usr/lib/vmlab/take-on-nat64']);
		const paths = Object.entries(change?.files ?? {}).flatMap(([machine, files]) => files.map(({path}) => `${machine} ${path}`)).sort();
		t.deepEqual(paths, [...(settings.includes('nat64.dns64=unbound') ? ['node-1 /etc/vmlab/manifests/coredns.yaml'] : []), 'router-1 /etc/vmlab/nat64']);
	}
});

test('both translators are on the router with one prefix, and a file says which one runs', async t => {
	const router = machineOf(await planOfLab(nat64Lab, ['nat64.translator=jool', 'nat64.prefix=fd00:99::/96']), 'router-1');
	t.is(textOf(router, '/etc/vmlab/nat64'), 'translator=jool\ndns64=coredns\nprefix=fd00:99::/96\n');
	t.true(['vmlab-tayga.service', 'vmlab-jool.service', 'vmlab-unbound.service'].every(unit => router.units.includes(unit)));
	t.regex(textOf(router, '/etc/vmlab/tayga.conf'), /^prefix fd00:99::\/96$/m);
	t.regex(textOf(router, '/etc/vmlab/unbound.conf'), /dns64-prefix: fd00:99::\/96/);
	t.regex(textOf(router, '/etc/vmlab/jool'), /fd00:99::\/96/);
});

test('tayga has a tunnel as wide as the widest link, and masquerades its pool towards IPv4 alone', async t => {
	const router = machineOf(await planOfLab(nat64Lab, ['tayga.pool=10.99.0.0/16']), 'router-1');
	t.is(textOf(router, '/etc/vmlab/tayga.network'), 'link set dev nat64 mtu 1500 up\nroute add fd00:64::/96 dev nat64\nroute add 10.99.0.0/16 dev nat64\n');
	t.regex(textOf(router, '/etc/vmlab/tayga.conf'), /^ipv4-addr 10\.99\.0\.1$/m);
	t.notRegex(textOf(router, '/etc/vmlab/tayga.conf'), /ipv6-addr/);
	t.deepEqual(textOf(router, '/etc/vmlab/tayga.nft').match(/ip saddr .*/g), ['ip saddr 10.99.0.0/16 oifname "eth2" masquerade']);
	t.regex(textOf(router, '/etc/sysctl.d/90-vmlab.conf'), /net\.ipv4\.ip_forward = 1/);
});

test('with the well-known prefix tayga is told an address that is not within it', async t => {
	const router = machineOf(await planOfLab(nat64Lab, ['nat64.prefix=64:ff9b::/96']), 'router-1');
	t.regex(textOf(router, '/etc/vmlab/tayga.conf'), /^ipv6-addr fd00:64::1$/m);
});

test('tayga alone needs no other overlay', async t => {
	const plan = await planOfLab({machines: {router: {count: 1}}, families: ['ipv6', 'ipv4'], overlays: ['base', 'tayga'], options: {tayga: {prefix: 'fd00:1::/96'}}});
	t.deepEqual(plan.overlays, ['base', 'tayga']);
	t.regex(textOf(machineOf(plan, 'router-1'), '/etc/vmlab/tayga.conf'), /^prefix fd00:1::\/96$/m);
});

test('CoreDNS makes AAAA records for other names alone, and asks the name server within the prefix', async t => {
	const text = await corefileOf();
	const zones = text.split(/^}$/m);
	t.deepEqual(zones.filter(zone => zone.includes('dns64')).map(zone => zone.trim().split('\n')[0]), ['. {']);
	t.regex(text, /dns64 \{\n +prefix fd00:64::\/96\n +\}\n +forward \. fd00:64::c0a8:2e7\n/);
});

test('with unbound CoreDNS makes none, and asks the router', async t => {
	const text = await corefileOf('nat64.dns64=unbound');
	t.notRegex(text, /dns64/);
	t.regex(text, /forward \. 1000::1:c0a8:1c9\n/);
});

test('a server that is told goes before the one beyond the router', async t => {
	t.regex(await corefileOf('coredns.upstream=fd00:1::53'), /dns64[^]*forward \. fd00:1::53\n/);
});

test('unbound on the router serves IPv6, and asks the name server over IPv4; a node\'s own asks the router and is not started', async t => {
	const plan = await planOfLab(nat64Lab);
	const router = textOf(machineOf(plan, 'router-1'), '/etc/vmlab/unbound.conf');
	t.deepEqual(router.match(/interface: .*/g), ['interface: ::1', 'interface: 1000::1:c0a8:1c9']);
	t.regex(router, /module-config: "dns64 iterator"/);
	t.regex(router, /stub-zone:\n +name: "lab\.test\."\n +stub-addr: 192\.168\.2\.231\n/);
	const node = machineOf(plan, 'node-1');
	t.regex(textOf(node, '/etc/vmlab/unbound.conf'), /interface: ::1\n[^]*module-config: "iterator"[^]*forward-addr: 1000::1:c0a8:1c9\n/);
	t.false(node.units.includes('vmlab-unbound.service'));
	t.deepEqual(machineOf(plan, 'router-1').restartInForks, ['vmlab-unbound.service']);
});

test('the zone has all machines, and the records that are asked for', async t => {
	const server = machineOf(await planOfLab(nat64Lab), 'server-1');
	const zone = textOf(server, '/etc/vmlab/nsd.zone');
	const of = (name: string): string[] => zone.split('\n').filter(line => line.startsWith(`${name} `)).map(line => line.slice(name.length + 1));
	t.deepEqual(of('server-1'), ['A 192.168.2.231']);
	t.deepEqual(of('node-1'), ['AAAA 1000::1:c0a8:101']);
	t.deepEqual(of('router-1').sort(), ['A 192.168.2.201', 'AAAA 1000::1:c0a8:1c9']);
	t.deepEqual(of('both'), ['A 192.168.2.231', 'AAAA 1000::1:c0a8:1c9']);
	t.deepEqual(of('*.four'), ['A 192.168.2.231']);
	t.deepEqual(textOf(server, '/etc/vmlab/nsd.conf').match(/ip-address: .*/g), ['ip-address: 192.168.2.231']);
});

test('the name server is where its role is, and nowhere else', async t => {
	const plan = await planOfLab(nat64Lab, ['nsd.role=router', 'nsd.zone=example.test']);
	t.true(machineOf(plan, 'router-1').units.includes('vmlab-nsd.service'));
	t.false(machineOf(plan, 'server-1').units.includes('vmlab-nsd.service'));
	t.is(textOf(machineOf(plan, 'server-1'), '/etc/vmlab/nsd.zone'), '');
});

test('a record of a machine that has no such address is refused, with the record', async t => {
	const error = await t.throwsAsync<LabError>(planOfLab(nat64Lab, ['nsd.records=bad AAAA server-1']));
	t.regex([error?.message, ...error?.details ?? []].join('\n'), /`bad AAAA server-1`, but server-1 has no address for a record AAAA/);
	await t.throwsAsync(planOfLab(nat64Lab, ['nsd.records=bad MX server-1']));
	await t.throwsAsync(planOfLab(nat64Lab, ['nat64.prefix=64:ff9b::/64']));
});

test('the test server is on the machines of its roles', async t => {
	const plan = await planOfLab(nat64Lab);
	const having = plan.machines.filter(({units}) => units.includes('vmlab-agnhost.service')).map(({name}) => name);
	t.deepEqual(having, ['router-1', 'server-1']);
	const other = await planOfLab(nat64Lab, ['agnhost.roles=server', 'agnhost.httpPort=80']);
	t.deepEqual(other.machines.filter(({units}) => units.includes('vmlab-agnhost.service')).map(({name}) => name), ['server-1']);
	t.regex(textOf(machineOf(other, 'server-1'), '/etc/vmlab/agnhost.env'), /^HTTP_PORT=80$/m);
});
