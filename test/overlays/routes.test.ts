import test from 'ava';
import type {Plan} from '../../lab/plan/plan.ts';
import type {LabDeclaration, NetworkDeclaration} from '../../lab/spec/lab.ts';
import {multiHopLab} from '../../scripts/labs/routing.ts';
import {machineOf, planOfLab, textOf} from './cluster-plan.ts';

function network(number: number): NetworkDeclaration {
	return {subnets: {ipv4: `192.168.${number}.0/24`, ipv6: `fd00:${number}::/64`}};
}

function routesOf(plan: Plan, machine: string, family = 'ipv4'): string[] {
	return machineOf(plan, machine).routes.filter(route => route.family === family).map(({to, via}) => `${to} ${via.join(' ')}`).sort();
}

/** Two routers side by side between two networks, and a third one behind one of these. */
const lab: LabDeclaration = {
	networks: {left: network(1), right: network(2), beyond: network(3), apart: network(4)},
	machines: {
		tester: {count: 1, networks: ['left']}, server: {count: 1, networks: ['right']}, hermit: {count: 1, networks: ['apart']},
		side: {count: 2, networks: ['left', 'right']}, last: {count: 1, networks: ['right', 'beyond']},
	},
	overlays: ['base', 'routes'],
	options: {routes: {routers: 'side last'}},
};

test('every machine of a row has its routes in both families, and hosts a default route', async t => {
	const plan = await planOfLab(multiHopLab);
	t.deepEqual(routesOf(plan, 'tester-1'), ['default 192.168.1.233']);
	t.deepEqual(routesOf(plan, 'tester-1', 'ipv6'), ['default fd00:1::e9']);
	t.deepEqual(routesOf(plan, 'near-1'), ['192.168.3.0/24 192.168.2.232', '192.168.4.0/24 192.168.2.232']);
	t.deepEqual(routesOf(plan, 'middle-1', 'ipv6'), ['fd00:1::/64 fd00:2::e9', 'fd00:4::/64 fd00:3::e7']);
	t.deepEqual(routesOf(plan, 'far-1'), ['192.168.1.0/24 192.168.3.232', '192.168.2.0/24 192.168.3.232']);
	t.deepEqual(routesOf(plan, 'server-1'), ['default 192.168.4.231']);
});

test('ways of the same length are one route with all their gateways', async t => {
	const plan = await planOfLab(lab);
	t.deepEqual(routesOf(plan, 'tester-1'), ['default 192.168.1.234 192.168.1.235']);
	t.deepEqual(routesOf(plan, 'last-1'), ['192.168.1.0/24 192.168.2.234 192.168.2.235']);
});

test('a host whose ways differ has a route for each network, and none to itself or to what nobody leads to', async t => {
	const plan = await planOfLab(lab);
	t.deepEqual(routesOf(plan, 'server-1'), ['192.168.1.0/24 192.168.2.234 192.168.2.235', '192.168.3.0/24 192.168.2.232']);
	t.deepEqual(routesOf(plan, 'hermit-1'), []);
	t.deepEqual(routesOf(plan, 'side-1'), ['192.168.3.0/24 192.168.2.232']);
});

test('routers forward what they carry and spread it by flow, other machines do neither', async t => {
	const both = await planOfLab(multiHopLab);
	t.is(textOf(machineOf(both, 'middle-1'), '/etc/sysctl.d/90-vmlab.conf'), [
		'net.ipv4.fib_multipath_hash_policy = 1', 'net.ipv4.ip_forward = 1', 'net.ipv6.conf.all.forwarding = 1', 'net.ipv6.fib_multipath_hash_policy = 1', '',
	].join('\n'));
	t.is(textOf(machineOf(both, 'server-1'), '/etc/sysctl.d/90-vmlab.conf'), '');
	t.notRegex(textOf(machineOf(await planOfLab(lab), 'side-1'), '/etc/sysctl.d/90-vmlab.conf'), /ipv6/);
});
