import test from 'ava';
import {defaultNetworks} from '../../lab/plan/addresses.ts';
import {defaultRoutes, layOut} from '../../lab/plan/machines.ts';
import type {LabDeclaration} from '../../lab/spec/lab.ts';
import {fourMachines} from '../rig/overlay.ts';

const lay = (lab: Partial<LabDeclaration>): ReturnType<typeof layOut> => layOut({machines: fourMachines, overlays: [], ...lab});
const gib = 1024 ** 3;

test('machines are named by role, in the order of the roles', (t) => {
	const names = lay({machines: {tester: {count: 1}, zebra: {count: 1}, ape: {count: 1}, router: {count: 2}, node: {count: 2}}}).machines.map(({name}) => name);
	t.deepEqual(names, ['node-1', 'node-2', 'router-1', 'router-2', 'tester-1', 'ape-1', 'zebra-1']);
});

test('nodes are from .1, routers from .201, testers from .221 on, others after them', (t) => {
	const {machines, problems} = lay({families: ['ipv4', 'ipv6'], machines: {...fourMachines, ape: {count: 2}, zebra: {count: 1}}});
	t.deepEqual(problems, []);
	t.deepEqual(Object.fromEntries(machines.map(({name, address}) => [name, address])), {
		'node-1': {ipv4: '192.168.1.1', ipv6: '1000::1:c0a8:101'},
		'node-2': {ipv4: '192.168.1.2', ipv6: '1000::1:c0a8:102'},
		'router-1': {ipv4: '192.168.1.201', ipv6: '1000::1:c0a8:1c9'},
		'tester-1': {ipv4: '192.168.2.221', ipv6: '1000::1:c0a8:2dd'},
		'ape-1': {ipv4: '192.168.2.231', ipv6: '1000::1:c0a8:2e7'},
		'ape-2': {ipv4: '192.168.2.232', ipv6: '1000::1:c0a8:2e8'},
		'zebra-1': {ipv4: '192.168.2.233', ipv6: '1000::1:c0a8:2e9'},
	});
});

test('only nodes have pod subnets', (t) => {
	const pods = Object.fromEntries(lay({families: ['ipv6', 'ipv4']}).machines.map((machine) => [machine.name, machine.pods]));
	t.deepEqual(pods, {
		'node-1': {ipv6: '1100:0:0:1::/64', ipv4: '11.0.1.0/24'}, 'node-2': {ipv6: '1100:0:0:2::/64', ipv4: '11.0.2.0/24'}, 'router-1': {}, 'tester-1': {},
	});
	t.deepEqual(Object.keys(pods['node-1']!), ['ipv6', 'ipv4'], 'the preferred family first');
});

test('a router has a NIC on both networks, named in their order', (t) => {
	const router = lay({}).machines.find(({name}) => name === 'router-1')!;
	t.deepEqual(router.links.map(({device, network, mac, mtu, addresses}) => [device, network, mac, mtu, addresses]), [
		['eth1', 'cluster', '02:00:00:01:00:c9', 1500, [{family: 'ipv4', address: '192.168.1.201', prefix: 24}]],
		['eth2', 'external', '02:00:00:02:00:c9', 1500, [{family: 'ipv4', address: '192.168.2.201', prefix: 24}]],
	]);
});

test('no two NICs of a lab have one link address', (t) => {
	const macs = lay({machines: {...fourMachines, ape: {count: 3}}}).machines.flatMap(({links, maintenanceMac}) => [maintenanceMac, ...links.map(({mac}) => mac)]);
	t.is(new Set(macs).size, macs.length);
});

test('a lab has sizes by default, and its own where it says', (t) => {
	const [node, , router] = lay({machines: {...fourMachines, node: {count: 2, cpus: 3, memory: '3GiB', disk: '8GiB'}}}).machines;
	t.like(node, {cpus: 3, memory: 3 * gib, disk: 8 * gib});
	t.like(router, {cpus: 1, memory: gib / 2, disk: 4 * gib});
});

test('a machine has all sources of random numbers, or those that its role names, in one order', (t) => {
	const {machines, problems} = lay({machines: {...fourMachines, router: {count: 1, entropy: ['virtio-rng', 'processor', 'virtio-rng']}, tester: {count: 1, entropy: []}, ape: {count: 1, entropy: ['boot', 'virtio-rng', 'processor']}}});
	t.deepEqual(problems, []);
	t.deepEqual(machines.map(({name, entropy}) => [name, entropy]), [
		['node-1', undefined], ['node-2', undefined], ['router-1', ['processor', 'virtio-rng']], ['tester-1', []], ['ape-1', undefined],
	]);
});

test('a family that the lab does not have is left out', (t) => {
	const {networks, ranges, machines} = lay({families: ['ipv6']});
	t.notRegex(JSON.stringify({networks, ranges, machines}), /ipv4|\d+\.\d+\.\d+\.\d+/);
	t.deepEqual(ranges.services, {ipv6: 'fd00:4000::/112'});
});

test('a network may have fewer families than the lab', (t) => {
	const {machines, problems} = lay({families: ['ipv6', 'ipv4'], networks: {cluster: {subnets: {ipv6: 'fd01::/64'}}, external: {subnets: {ipv4: '192.0.2.0/24'}, mtu: 9000}}});
	t.deepEqual(problems, []);
	t.deepEqual(machines.find(({name}) => name === 'node-1')?.address, {ipv6: 'fd01::1'});
	t.deepEqual(machines.find(({name}) => name === 'tester-1')?.address, {ipv4: '192.0.2.221'});
	t.is(machines.find(({name}) => name === 'tester-1')?.links[0]?.mtu, 9000);
});

test('a lab can have ranges of its own', (t) => {
	const {ranges} = lay({families: ['ipv4', 'ipv6'], pods: {ipv4: '172.16.0.0/16'}, external: {ipv6: '2001:db8::/120'}});
	t.deepEqual(ranges.pods, {ipv4: '172.16.0.0/16', ipv6: '1100::/48'});
	t.deepEqual(ranges.external, {ipv4: '10.0.0.0/24', ipv6: '2001:db8::/120'});
});

test('all that is wrong with a lab is told at once', (t) => {
	const {problems} = lay({
		families: ['ipv4'],
		networks: {cluster: {subnets: {ipv4: '192.168.1.0/28'}}, lonely: {subnets: {ipv6: 'fd00::/64'}}, wrong: {subnets: {ipv4: 'fd01::/64'}}},
		pods: {ipv4: '11.0.0.0/25'},
		services: {ipv4: '192.168.0.0/16'},
		machines: {
			node: {count: 1, memory: '64MiB', disk: '1MiB'},
			router: {count: 21},
			tester: {count: 0, memory: '129MiB', networks: ['clutser', 'cluster', 'cluster']},
			Zoo: {count: 1},
			ape: {count: 1, networks: ['cluster']},
		},
	});
	const expected = [
		/^network lonely: it has no subnet of the lab's families \(ipv4\)/,
		/^network wrong: `fd01::\/64` is not a subnet of IPv4/,
		/^network cluster \(192\.168\.1\.0\/28\) and services \(192\.168\.0\.0\/16\) have addresses in common/,
		/^machines\.node\.memory: 64MiB is too little/,
		/^machines\.node\.disk: 1MiB is too little/,
		/^pods: 11\.0\.0\.0\/25 has no subnet for node-1/,
		/^machines\.router: a lab has addresses for at most 20 of them, not 21/,
		/^machines\.tester\.memory: 129MiB is not a multiple of 2MiB/,
		/^machines\.tester\.networks: there is no network `clutser`; did you mean `cluster`\?/,
		/^machines\.tester\.networks: `cluster` is there twice/,
		/^machines: `Zoo` cannot be part of a host name/,
		/^network cluster: 192\.168\.1\.0\/28 is too small: ape-1 is number 231 in it/,
	];
	for (const pattern of expected) {
		t.true(problems.some((problem) => pattern.test(problem)), `${pattern.source}\n${problems.join('\n')}`);
	}

	t.is(problems.length, expected.length, problems.join('\n'));
});

test('a lab without machines is refused', (t) => {
	t.deepEqual(lay({machines: {}}).problems, ['machines: the lab has none']);
	t.deepEqual(lay({machines: {node: {count: 0}}}).problems, ['machines: the lab has none']);
});

test('nodes and testers have a default route through router-1 in each family', (t) => {
	const {machines} = lay({families: ['ipv6', 'ipv4']});
	const routes = Object.fromEntries(machines.map((machine) => [machine.name, defaultRoutes(machine, machines).map(({to, via}) => [to, ...via])]));
	t.deepEqual(routes, {
		'node-1': [['default', '1000::1:c0a8:1c9'], ['default', '192.168.1.201']],
		'node-2': [['default', '1000::1:c0a8:1c9'], ['default', '192.168.1.201']],
		'router-1': [],
		'tester-1': [['default', '1000::1:c0a8:2c9'], ['default', '192.168.2.201']],
	});
});

test('without a router there is no default route', (t) => {
	const {machines} = lay({machines: {node: {count: 1}}});
	t.deepEqual(defaultRoutes(machines[0]!, machines), []);
});

const beyond = {cluster: defaultNetworks['cluster']!, external: {...defaultNetworks['external']!, families: ['ipv4']}} as const;

test('a network may have families of its own: machines on it have addresses and default routes of these', (t) => {
	const {machines, networks, problems} = lay({families: ['ipv6'], networks: beyond});
	t.deepEqual(problems, []);
	t.deepEqual(networks.map(({name, families}) => [name, ...families]), [['cluster', 'ipv6'], ['external', 'ipv4']]);
	const [, , router, tester] = machines;
	t.deepEqual(router!.links.map(({addresses}) => addresses.map(({address}) => address)), [['1000::1:c0a8:1c9'], ['192.168.2.201']]);
	t.deepEqual(router!.address, {ipv6: '1000::1:c0a8:1c9'});
	t.deepEqual(tester!.address, {ipv4: '192.168.2.221'});
	t.deepEqual(defaultRoutes(tester!, machines), [{family: 'ipv4', to: 'default', via: ['192.168.2.201']}]);
});

test('a network without a subnet of a family that it names, or with one named twice, is refused', (t) => {
	t.deepEqual(lay({networks: {...beyond, external: {subnets: {ipv4: '192.168.2.0/24'}, families: ['ipv6']}}}).problems.slice(0, 1), ['network external: it has no subnet of ipv6, which its `families` name']);
	t.deepEqual(lay({networks: {...beyond, external: {...beyond.external, families: ['ipv4', 'ipv4']}}}).problems, ['network external: families: `ipv4, ipv4` names one family twice']);
});
