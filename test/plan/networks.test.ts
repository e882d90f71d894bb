import test from 'ava';
import {layOut} from '../../lab/plan/machines.ts';
import {nicsOf} from '../../lab/plan/networks.ts';
import {linkNames} from '../../lab/plan/links.ts';
import {makePlan} from '../../lab/plan/make-plan.ts';
import {problemsOf} from '../../lab/spec/schema.ts';
import type {LabDeclaration, NetworkDeclaration} from '../../lab/spec/lab.ts';
import {LabError} from '../../lab/host/error.ts';
import {image, overlay, planOf} from '../rig/overlay.ts';

const lay = (lab: Partial<LabDeclaration>): ReturnType<typeof layOut> => layOut({machines: {}, overlays: [], ...lab});

/** A router on a trunk of two VLANs, and a machine in each. */
const stick: Partial<LabDeclaration> = {
	families: ['ipv4', 'ipv6'],
	networks: {
		blue: {subnets: {ipv4: '192.168.10.0/24', ipv6: 'fd00:10::/64'}},
		trunk: {vlans: {blue: 10, green: 20}},
		green: {subnets: {ipv4: '192.168.20.0/24'}, families: ['ipv4'], mtu: 9000},
	},
	machines: {router: {count: 1, networks: ['trunk']}, tester: {count: 2, networks: {'tester-1': ['blue'], 'tester-2': ['green']}}},
};

test('a machine on a trunk has one NIC, and a device with addresses for each VLAN', (t) => {
	const {machines, networks, problems} = lay(stick);
	t.deepEqual(problems, []);
	const [router, first] = machines;
	t.deepEqual(router!.links, [
		{network: 'trunk', device: 'eth1', mac: '02:00:00:02:00:c9', mtu: 9000, addresses: []},
		{
			network: 'blue', device: 'eth1.10', mac: '02:00:00:02:00:c9', mtu: 1500, vlan: {id: 10, device: 'eth1'},
			addresses: [{family: 'ipv4', address: '192.168.10.201', prefix: 24}, {family: 'ipv6', address: 'fd00:10::c9', prefix: 64}],
		},
		{network: 'green', device: 'eth1.20', mac: '02:00:00:02:00:c9', mtu: 9000, vlan: {id: 20, device: 'eth1'}, addresses: [{family: 'ipv4', address: '192.168.20.201', prefix: 24}]},
	]);
	t.deepEqual(router!.address, {ipv4: '192.168.10.201', ipv6: 'fd00:10::c9'});
	t.deepEqual(nicsOf(router!).map(({device}) => device), ['eth1']);
	t.deepEqual(first!.links.map(({device, network, vlan}) => [device, network, vlan]), [['eth1', 'blue', undefined]]);
	t.deepEqual(networks.map(({name, families, mtu}) => [name, mtu, ...families]), [['blue', 1500, 'ipv4', 'ipv6'], ['trunk', 9000, 'ipv4', 'ipv6'], ['green', 9000, 'ipv4']]);
	t.deepEqual(linkNames(machines), ['router-1@trunk', 'tester-1@blue', 'tester-2@green']);
});

test('a machine in a VLAN has its default route through the router on the trunk', (t) => {
	const {machines} = planOf([overlay('base')], stick);
	t.deepEqual(machines.map(({name, routes}) => [name, ...routes.map(({to, via}) => `${to} ${via.join(' ')}`)]), [
		['router-1'], ['tester-1', 'default 192.168.10.201', 'default fd00:10::c9'], ['tester-2', 'default 192.168.20.201'],
	]);
});

/** Three routers in a row, with wires between them. */
const row: Partial<LabDeclaration> = {
	families: ['ipv4', 'ipv6'],
	networks: {
		left: {subnets: {ipv4: '192.168.1.0/24', ipv6: 'fd00:1::/64'}},
		a: {kind: 'point-to-point'},
		b: {kind: 'point-to-point'},
		right: {subnets: {ipv4: '192.168.2.0/24', ipv6: 'fd00:2::/64'}},
	},
	machines: {
		router: {count: 3, networks: {'router-1': ['left', 'a'], 'router-2': ['a', 'b'], 'router-3': ['b', 'right']}},
		tester: {count: 2, networks: {'tester-1': ['left'], 'tester-2': ['right']}},
	},
};

test('a point-to-point link that does not say has two addresses in each family', (t) => {
	const {machines, networks, problems} = lay(row);
	t.deepEqual(problems, []);
	t.deepEqual(networks.map(({name, kind, subnets}) => [name, kind, subnets]).slice(1, 3), [
		['a', 'point-to-point', {ipv4: '192.168.255.0/31', ipv6: '1000::1:c0a8:ff00/127'}],
		['b', 'point-to-point', {ipv4: '192.168.255.2/31', ipv6: '1000::1:c0a8:ff02/127'}],
	]);
	const ends = machines.flatMap(({name, links}) => links.filter(({network}) => network === 'b').map(({device, addresses}) => [name, device, ...addresses.map(({address, prefix}) => `${address}/${prefix}`)]));
	t.deepEqual(ends, [['router-2', 'eth2', '192.168.255.2/31', '1000::1:c0a8:ff02/127'], ['router-3', 'eth1', '192.168.255.3/31', '1000::1:c0a8:ff03/127']]);
});

test('machines that share no network with router-1 have their default route through the router that they share one with', (t) => {
	const {machines} = planOf([overlay('base')], row);
	t.deepEqual(machines.filter(({role}) => role === 'tester').map(({routes}) => routes.map(({via}) => via)), [[['192.168.1.201'], ['fd00:1::c9']], [['192.168.2.203'], ['fd00:2::cb']]]);
});

test('the ends of a point-to-point link have the first addresses of the subnets that it names', (t) => {
	const named = (subnets: NetworkDeclaration['subnets']): unknown => {
		const {machines, problems} = lay({families: ['ipv4', 'ipv6'], networks: {wire: {kind: 'point-to-point', subnets: subnets!}}, machines: {router: {count: 1, networks: ['wire']}, ape: {count: 1, networks: ['wire']}}});
		return problems.length > 0 ? problems : machines.map(({links}) => links.flatMap(({addresses}) => addresses.map(({address}) => address)));
	};

	t.deepEqual(named({ipv4: '10.1.0.4/30', ipv6: 'fd00::/64'}), [['10.1.0.5', 'fd00::1'], ['10.1.0.6', 'fd00::2']]);
	t.deepEqual(named({ipv4: '10.1.0.6/31'}), [['10.1.0.6'], ['10.1.0.7']]);
	t.deepEqual(named({ipv6: 'fd00::6/127'}), [['fd00::6'], ['fd00::7']]);
	t.deepEqual(named({ipv4: '10.1.0.6/32'}), ['network wire: 10.1.0.6/32 is too small: router-1 is number 1 in it', 'network wire: 10.1.0.6/32 is too small: ape-1 is number 2 in it']);
});

test('there are 128 point-to-point links that do not say, and no more', (t) => {
	const wires = (count: number): string[] => lay({
		networks: Object.fromEntries(Array.from({length: count}, (_, index) => [`wire-${index}`, {kind: 'point-to-point'} as const])),
		machines: {ape: {count: 2, networks: []}},
	}).problems.filter((problem) => !/joins exactly two machines, not none/.test(problem));
	t.deepEqual(wires(128), []);
	t.deepEqual(wires(129), ['network wire-128: there are no more subnets for point-to-point links: give it `subnets`']);
});

const lan = (third: number): NetworkDeclaration => ({subnets: {ipv4: `192.168.${third}.0/24`}});

test('what cannot be is told, with what would be right', (t) => {
	const machines: LabDeclaration['machines'] = {ape: {count: 1, networks: ['one']}};
	const cases: ReadonlyArray<readonly [Partial<LabDeclaration>, readonly string[]]> = [
		[{networks: {one: lan(1), trunk: {vlans: {oen: 10}}}, machines}, ['network trunk: there is no network `oen`, which is to be its VLAN 10; did you mean `one`?']],
		[{networks: {one: lan(1), two: lan(2), trunk: {vlans: {one: 10, two: 10}}}, machines}, ['network trunk: `one` and `two` have the same number, 10']],
		[{networks: {one: lan(1), trunk: {vlans: {one: 10}}, other: {vlans: {one: 11}}}, machines}, ['network other: `one` is a VLAN of `trunk` already: a network is part of one switch']],
		[{networks: {one: lan(1), trunk: {vlans: {one: 10}}, other: {vlans: {trunk: 11}}}, machines}, ['network other: `trunk` is a trunk itself, and cannot be a VLAN of one']],
		[{networks: {one: {...lan(1), kind: 'point-to-point'}, trunk: {vlans: {one: 10}}}, machines: {ape: {count: 2, networks: ['one']}}}, ['network trunk: `one` is a point-to-point link, and cannot be a VLAN: a VLAN is switched']],
		[{networks: {one: {...lan(1), mtu: 9000}, trunk: {mtu: 1500, vlans: {one: 10}}}, machines}, ['network trunk: its mtu is 1500, and its VLAN `one` has 9000']],
		[
			{networks: {one: lan(1), trunk: {vlans: {one: 10}}}, machines: {ape: {count: 1, networks: ['one', 'trunk']}}},
			['machines.ape.networks: `one` is a VLAN of `trunk`, which is there too: a machine would have its address in `one` twice'],
		],
		[{networks: {one: {subnets: {ipv6: 'fd00::/64'}, families: ['ipv6'], mtu: 1000}}, machines}, ['network one: its mtu is 1000, and IPv6 needs at least 1280 (RFC 8200, 5)']],
		[{networks: {one: lan(1), 'a@b': lan(2)}, machines}, ['networks: `a@b` cannot be part of a link\'s name: use letters, digits, dashes, dots and underscores']],
		[{networks: {one: lan(1), two: lan(1)}, machines}, ['network one (192.168.1.0/24) and network two (192.168.1.0/24) have addresses in common']],
		[{networks: {one: {kind: 'point-to-point'}}, machines}, ['network one: a point-to-point link joins exactly two machines, not 1 (ape-1)']],
		[{networks: {one: {kind: 'point-to-point'}}, machines: {ape: {count: 3, networks: ['one']}}}, ['network one: a point-to-point link joins exactly two machines, not 3 (ape-1, ape-2, ape-3)']],
		[{networks: {one: lan(1)}, machines: {ape: {count: 2, networks: {'ape-1': ['one'], 'ape-3': ['one']}}}}, [
			'machines.ape.networks: there is no machine `ape-3`; known are ape-1, ape-2', 'machines.ape.networks: it names networks by machine, and none of ape-2',
		]],
		[{networks: {one: lan(1)}, machines: {ape: {count: 1, networks: {'ape-1': ['oen']}}}}, ['machines.ape.networks.ape-1: there is no network `oen`; did you mean `one`?']],
	];
	for (const [lab, expected] of cases) {
		t.deepEqual(lay(lab).problems, expected);
	}

	const many = Array.from({length: 21}, (_, index) => `lan-${index}`);
	t.deepEqual(lay({networks: Object.fromEntries(many.map((name, index) => [name, lan(index)])), machines: {ape: {count: 1, networks: many}}}).problems, ['machines.ape.networks: a machine has room for at most 20 NICs, not 21']);
	const tooMany = Array.from({length: 255}, (_, index) => [`lan-${index}`, {subnets: {ipv4: `10.${index}.0.0/16`}}] as const).filter(([, {subnets}]) => !/^10\.0\.|^10\.11\./.test(subnets.ipv4));
	t.deepEqual(lay({networks: Object.fromEntries([...tooMany, ['x', lan(1)], ['y', lan(2)]]), machines: {ape: {count: 1, networks: ['x']}}}).problems, ['networks: a lab has at most 254 of them, not 255']);
});

test('the shape of a network is told of where it is wrong', (t) => {
	const shape = (network: object): string[] => problemsOf('lab', {machines: {ape: {count: 1}}, overlays: [], networks: {it: network}}).map(({text}) => text);
	t.deepEqual(shape({subnets: {ipv4: '10.0.0.0/24'}}), []);
	t.deepEqual(shape({kind: 'point-to-point'}), []);
	t.deepEqual(shape({vlans: {blue: 1, green: 4094}, mtu: 9000}), []);
	t.deepEqual(shape({}), ['`networks.it.subnets` is missing: it must be an object, such as {ipv4: \'192.168.3.0/24\'}']);
	t.deepEqual(shape({vlans: {blue: 0}}), ['`networks.it.vlans.blue` must be at least 1']);
	t.deepEqual(shape({vlans: {blue: 4095}}), ['`networks.it.vlans.blue` must be at most 4094']);
	t.deepEqual(shape({vlans: {blue: 'ten'}}), ['`networks.it.vlans.blue` must be a number, not a text']);
	t.deepEqual(shape({vlans: {}}), ['`networks.it.vlans` must not be empty']);
	t.deepEqual(shape({vlans: {blue: 1}, subnets: {ipv4: '10.0.0.0/24'}}), ['`networks.it.subnets` cannot be said of a trunk: the networks of its `vlans` have their own']);
	t.deepEqual(shape({vlans: {blue: 1}, families: ['ipv4']}), ['`networks.it.families` cannot be said of a trunk: the networks of its `vlans` have their own']);
	t.deepEqual(shape({vlans: {blue: 1}, kind: 'point-to-point'}), ['`networks.it.kind` cannot be point-to-point with `vlans`: a trunk is a switch']);
	t.deepEqual(shape({kind: 'bus', subnets: {}}), ['`networks.it.kind` must be one of lan, point-to-point']);
	t.deepEqual(shape({mtu: 65_536, subnets: {}}), ['`networks.it.mtu` must be at most 65535']);
	t.deepEqual(problemsOf('lab', {machines: {ape: {count: 1, networks: {'ape-1': 'one'}}}, overlays: []}).map(({text}) => text), [
		'`machines.ape.networks` must be a list of names of networks, or such a list for each machine: {\'router-1\': [\'left\', \'right\']}',
	]);
});

test('a bad topology fails as a declaration, with all of it', (t) => {
	const error = t.throws<LabError>(() => makePlan({
		lab: {machines: {ape: {count: 3, networks: ['wire']}}, networks: {wire: {kind: 'point-to-point', mtu: 1000}, trunk: {vlans: {wrie: 7}}}, families: ['ipv6'], overlays: ['base']},
		overlays: [overlay('base')], imageName: 'bookworm', image,
	}), {instanceOf: LabError});
	t.is(error.code, 'bad-declaration');
	t.deepEqual(error.details?.map((line) => line.replace(/:.*/, '')), ['network trunk', 'network wire', 'network wire']);
});
