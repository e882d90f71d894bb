import test from 'ava';
import {fabricNetworks} from '../../lab/runtime/fabric-networks.ts';
import {overlay, planOf} from '../rig/overlay.ts';

test('a trunk and its VLANs are one switch, a point-to-point link is a wire, and ports are NICs', (t) => {
	const plan = planOf([overlay('base')], {
		networks: {
			blue: {subnets: {ipv4: '192.168.10.0/24'}}, green: {subnets: {ipv6: 'fd00:20::/64'}, families: ['ipv6']},
			trunk: {vlans: {green: 20, blue: 10}}, wire: {kind: 'point-to-point'}, lan: {subnets: {ipv4: '192.168.30.0/24'}},
		},
		machines: {router: {count: 2, networks: {'router-1': ['trunk', 'wire'], 'router-2': ['wire', 'lan']}}, tester: {count: 1, networks: ['green', 'blue']}},
	});
	const state = {name: 'wire', stations: [], frames: []};
	t.deepEqual(fabricNetworks(plan, [state]), [
		{
			name: 'trunk', families: ['ipv6', 'ipv4'], state: undefined,
			vlans: [{network: 'green', id: 20, families: ['ipv6']}, {network: 'blue', id: 10, families: ['ipv4']}],
			ports: [
				{name: 'router-1', socket: 'router-1/eth1.sock'}, {name: 'tester-1', socket: 'tester-1/eth1.sock', network: 'green'}, {name: 'tester-1', socket: 'tester-1/eth2.sock', network: 'blue'},
			],
		},
		{name: 'wire', families: ['ipv4'], wire: true, state, ports: [{name: 'router-1', socket: 'router-1/eth2.sock'}, {name: 'router-2', socket: 'router-2/eth1.sock'}]},
		{name: 'lan', families: ['ipv4'], state: undefined, ports: [{name: 'router-2', socket: 'router-2/eth2.sock'}]},
	]);
});
