import test from 'ava';
import type {Plan} from '../../lab/plan/plan.ts';
import type {LabDeclaration, NetworkDeclaration} from '../../lab/spec/lab.ts';
import {multiHopLab} from '../../scripts/labs/routing.ts';
import {machineOf, planOfLab} from './cluster-plan.ts';

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
		router: {count: 3, networks: {'router-1': ['left', 'right'], 'router-2': ['left', 'right'], 'router-3': ['right', 'beyond']}},
	},
	overlays: ['base', 'routes'],
};

test('every machine of a row has its routes in both families, and hosts a default route', async t => {
	const plan = await planOfLab(multiHopLab);
	t.deepEqual(routesOf(plan, 'tester-1'), ['default 192.168.1.201']);
	t.deepEqual(routesOf(plan, 'tester-1', 'ipv6'), ['default fd00:1::c9']);
	t.deepEqual(routesOf(plan, 'router-1'), ['192.168.3.0/24 192.168.2.202', '192.168.4.0/24 192.168.2.202']);
	t.deepEqual(routesOf(plan, 'router-2', 'ipv6'), ['fd00:1::/64 fd00:2::c9', 'fd00:4::/64 fd00:3::cb']);
	t.deepEqual(routesOf(plan, 'router-3'), ['192.168.1.0/24 192.168.3.202', '192.168.2.0/24 192.168.3.202']);
	t.deepEqual(routesOf(plan, 'server-1'), ['default 192.168.4.203']);
});

test('ways of the same length are one route with all their gateways', async t => {
	const plan = await planOfLab(lab);
	t.deepEqual(routesOf(plan, 'tester-1'), ['default 192.168.1.201 192.168.1.202']);
	t.deepEqual(routesOf(plan, 'router-3'), ['192.168.1.0/24 192.168.2.201 192.168.2.202']);
});

test('a host whose ways differ has a route for each network, and none to its own or to what nobody leads to', async t => {
	const plan = await planOfLab(lab);
	t.deepEqual(routesOf(plan, 'server-1'), ['192.168.1.0/24 192.168.2.201 192.168.2.202', '192.168.3.0/24 192.168.2.203', 'default 192.168.2.201']);
	t.deepEqual(routesOf(plan, 'hermit-1'), []);
	t.deepEqual(routesOf(plan, 'router-1'), ['192.168.3.0/24 192.168.2.203']);
});

test('routers that learn their routes have none, and hosts have theirs', async t => {
	const plan = await planOfLab({...lab, overlays: ['base', 'bird']});
	t.deepEqual(routesOf(plan, 'router-3'), []);
	t.deepEqual(routesOf(plan, 'tester-1'), ['default 192.168.1.201 192.168.1.202']);
});
