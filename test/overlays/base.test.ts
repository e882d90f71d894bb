import test from 'ava';
import {machineOf, planOfLab, textOf} from './cluster-plan.ts';

test('a machine on a trunk makes a device for each VLAN before it sets anything of them', async t => {
	const plan = await planOfLab({
		families: ['ipv4', 'ipv6'],
		networks: {
			blue: {subnets: {ipv4: '192.168.10.0/24', ipv6: 'fd00:10::/64'}}, green: {subnets: {ipv4: '192.168.20.0/24'}, families: ['ipv4'], mtu: 9000},
			trunk: {vlans: {blue: 10, green: 20}},
		},
		machines: {router: {count: 1, networks: ['trunk']}, tester: {count: 1, networks: ['blue']}},
		overlays: ['base'],
	});
	const router = machineOf(plan, 'router-1');
	t.is(textOf(router, '/etc/vmlab/nics').trim().split('\n').length, 2, 'the maintenance NIC and one');
	t.is(textOf(router, '/etc/vmlab/devices'), 'link add link eth1 name eth1.10 type vlan id 10\nlink add link eth1 name eth1.20 type vlan id 20\n');
	t.regex(textOf(router, '/etc/vmlab/network'), /link set dev eth1 mtu 9000 up\nlink set dev eth1\.10 mtu 1500 up\naddr add 192\.168\.10\.201\/24 dev eth1\.10\naddr add fd00:10::c9\/64 dev eth1\.10 nodad\nlink set dev eth1\.20 mtu 9000 up\naddr add 192\.168\.20\.201\/24 dev eth1\.20\n/);
	const disabled = textOf(router, '/etc/vmlab/sysctls').match(/\S+(?=\/disable_ipv6 1)/g);
	t.deepEqual(disabled, ['net/ipv6/conf/eth0', 'net/ipv6/conf/eth1', 'net/ipv6/conf/eth1.20']);
	t.is(machineOf(plan, 'tester-1').files.find(({path}) => path === '/etc/vmlab/devices'), undefined);
});
