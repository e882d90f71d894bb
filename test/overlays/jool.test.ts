import test from 'ava';
import type {LabDeclaration} from '../../lab/spec/lab.ts';
import {machineOf, planOfLab, textOf} from './cluster-plan.ts';

const lab: LabDeclaration = {
	families: ['ipv6'],
	networks: {six: {families: ['ipv6'], subnets: {ipv6: 'fd00:6::/64'}}, four: {families: ['ipv4'], subnets: {ipv4: '192.168.2.0/24'}}},
	machines: {router: {count: 1, networks: ['six', 'four']}, tester: {count: 1, networks: ['six']}},
	overlays: ['base', 'jool'],
};

test('jool and its kernel module are on the router alone', async t => {
	const {stages, machines} = await planOfLab(lab);
	const find = (name: string) => stages.find(stage => stage.name === name)!;
	t.deepEqual(find('layer router').needs, ['modules jool-dkms']);
	t.deepEqual(find('layer tester').needs, []);
	t.deepEqual(machines.map(({name, units}) => [name, units.includes('vmlab-jool.service')]), [['router-1', true], ['tester-1', false]]);
});

test('the prefix is a text of a file alone, so that it is a boot\'s matter and no layer\'s', async t => {
	const [one, other] = await Promise.all([planOfLab(lab), planOfLab(lab, ['jool.prefix=fd00:46::/96'])]);
	t.is(textOf(machineOf(one, 'router-1'), '/etc/vmlab/jool'), 'PREFIX=fd00:64::/96\n');
	t.is(textOf(machineOf(other, 'router-1'), '/etc/vmlab/jool'), 'PREFIX=fd00:46::/96\n');
	t.deepEqual(one.stages.map(({key}) => key), other.stages.map(({key}) => key));
	await t.throwsAsync(planOfLab(lab, ['jool.prefix=192.168.0.0/16']), {code: 'bad-declaration'});
});

test('the router forwards both families, and keeps its own connections from the ports that jool takes', async t => {
	const sysctls = textOf(machineOf(await planOfLab(lab), 'router-1'), '/etc/sysctl.d/90-vmlab.conf');
	for (const line of ['net.ipv4.ip_forward = 1', 'net.ipv6.conf.all.forwarding = 1', 'net.ipv4.ip_local_port_range = 32768 60999']) {
		t.true(sysctls.split('\n').includes(line), line);
	}
});
