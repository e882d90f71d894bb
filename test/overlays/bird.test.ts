import test from 'ava';
import type {LabError} from '../../lab/host/error.ts';
import type {LabDeclaration, NetworkDeclaration} from '../../lab/spec/lab.ts';
import {diamondLab, ecmpLab} from '../../scripts/labs/routing.ts';
import {machineOf, planOfLab, textOf} from './cluster-plan.ts';

async function configurationOf(lab: LabDeclaration, machine: string, settings: readonly string[] = []): Promise<string> {
	return textOf(machineOf(await planOfLab(lab, settings), machine), '/etc/bird/bird.conf');
}

function network(number: number): NetworkDeclaration {
	return {subnets: {ipv4: `192.168.${number}.0/24`, ipv6: `fd00:${number}::/64`}};
}

test('a router speaks OSPF with its neighbours in both families, and announces networks where it has none', async t => {
	const text = await configurationOf(diamondLab, 'router-1');
	t.regex(text, /^router id 0\.0\.0\.1;$/m);
	for (const [protocol, family] of [['v2 ospf4', 'ipv4'], ['v3 ospf6', 'ipv6']] as const) {
		t.true(text.includes([
			`protocol ospf ${protocol} {`,
			`\t${family} { import all; export none; };`,
			'\tarea 0 {',
			'\t\tinterface "eth1" { stub yes; cost 10; };',
			'\t\tinterface "eth2" { type ptp; hello 1; dead 5; cost 10; };',
			'\t\tinterface "eth3" { type ptp; hello 1; dead 5; cost 20; };',
			'\t};',
			'}',
		].join('\n')), text);
	}

	t.notRegex(text, /bfd/);
});

test('timers and BFD are options', async t => {
	const text = await configurationOf(ecmpLab, 'router-2', ['bird.hello=2', 'bird.dead=8', 'bird.bfd=true']);
	t.regex(text, /interface "eth1" \{ type ptp; hello 2; dead 8; cost 10; bfd yes; \};/);
	t.regex(text, /protocol bfd \{\n\tinterface "eth1", "eth2", "eth3" \{ interval 300 ms; multiplier 4; \};\n\}/);
	const problemsOf = async (setting: string): Promise<string> => (await t.throwsAsync<LabError>(configurationOf(ecmpLab, 'router-2', [setting]), {code: 'bad-declaration'}))?.details?.join('; ') ?? '';
	t.regex(await problemsOf('bird.hello=5'), /`bird\.dead` must be more than `bird\.hello`, which is 5, not 5/);
	t.regex(await problemsOf('bird.costs=router-9@left 5'), /router-9@left is no link of a router; known are router-1@left, /);
	t.regex(await problemsOf('bird.costs=router-1'), /`bird\.costs` must be links and their costs/);
});

test('a lab without IPv4 has OSPFv3 alone, with the same ids', async t => {
	const text = await configurationOf({...diamondLab, families: ['ipv6']}, 'router-4');
	t.regex(text, /^router id 0\.0\.0\.4;$/m);
	t.regex(text, /ospf v3 ospf6/);
	t.notRegex(text, /ipv4|ospf4/);
});

test('three routers on one network elect a designated one', async t => {
	const lab: LabDeclaration = {networks: {shared: network(1)}, machines: {router: {count: 3, networks: ['shared']}}, overlays: ['base', 'bird']};
	t.regex(await configurationOf(lab, 'router-3'), /interface "eth1" \{ type broadcast;/);
	t.is(textOf(machineOf(await planOfLab(lab), 'router-3'), '/etc/vmlab/bird-ready'), '');
});

test('on a trunk it speaks on the VLANs', async t => {
	const lab: LabDeclaration = {
		networks: {blue: network(1), green: network(2), trunk: {vlans: {blue: 10, green: 20}}},
		machines: {router: {count: 2, networks: {'router-1': ['trunk'], 'router-2': ['blue']}}}, overlays: ['base', 'bird'],
	};
	const text = await configurationOf(lab, 'router-1');
	t.regex(text, /interface "eth1\.10" \{ type ptp;/);
	t.regex(text, /interface "eth1\.20" \{ stub yes;/);
	t.notRegex(text, /"eth1"/);
});

test('a router is ready when its neighbours are there and the kernel has the routes', async t => {
	const plan = await planOfLab(ecmpLab);
	t.is(textOf(machineOf(plan, 'router-1'), '/etc/vmlab/bird-ready'), [
		'neighbour ospf4 0.0.0.2 eth2', 'neighbour ospf4 0.0.0.2 eth3', 'route -4 192.168.2.0/24',
		'neighbour ospf6 0.0.0.2 eth2', 'neighbour ospf6 0.0.0.2 eth3', 'route -6 fd00:2::/64', '',
	].join('\n'));
	t.true(machineOf(plan, 'router-1').units.includes('bird.service'));
	t.false(machineOf(plan, 'tester-1').units.includes('bird.service'));
});
