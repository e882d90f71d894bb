import test from 'ava';
import {clusterLab} from '../../scripts/labs/kubernetes.ts';
import {machineOf, planOfLab, textOf} from './cluster-plan.ts';

test('pod subnets are routed between nodes and by the router, in both families', async t => {
	const plan = await planOfLab(clusterLab(['ipv4', 'ipv6']));
	const podRoutes = (name: string): string[] => machineOf(plan, name).routes.filter(({to}) => /^11/.test(to)).map(({to, via}) => `${to} ${via.join(' ')}`).sort();
	t.deepEqual(podRoutes('node-1'), ['11.0.2.0/24 192.168.1.2', '1100:0:0:2::/64 1000::1:c0a8:102']);
	t.deepEqual(podRoutes('router-1'), [
		'11.0.1.0/24 192.168.1.1', '11.0.2.0/24 192.168.1.2', '1100:0:0:1::/64 1000::1:c0a8:101', '1100:0:0:2::/64 1000::1:c0a8:102',
	]);
	t.deepEqual(podRoutes('tester-1'), []);
});

test('the router spreads external addresses over all nodes, by flow', async t => {
	const plan = await planOfLab(clusterLab(['ipv4', 'ipv6']));
	const router = machineOf(plan, 'router-1');
	t.deepEqual(router.routes.filter(({to}) => to === '10.0.0.0/24'), [{family: 'ipv4', to: '10.0.0.0/24', via: ['192.168.1.1', '192.168.1.2']}]);
	t.deepEqual(router.routes.filter(({to}) => to === '1000::/120'), [{family: 'ipv6', to: '1000::/120', via: ['1000::1:c0a8:101', '1000::1:c0a8:102']}]);
	t.regex(textOf(router, '/etc/sysctl.d/90-vmlab.conf'), /net\.ipv4\.fib_multipath_hash_policy = 1\nnet\.ipv6\.fib_multipath_hash_policy = 1/);
});

test('nodes refuse external addresses that no Service has, and only those', async t => {
	const guard = textOf(machineOf(await planOfLab(clusterLab(['ipv6'])), 'node-2'), '/etc/vmlab/externalip.nft');
	t.regex(guard, /ip6 daddr 1000::\/120 reject/);
	t.notRegex(guard, /ip daddr/);
});

test('the pool of external addresses leaves out the range\'s own and its last', async t => {
	const node = machineOf(await planOfLab({...clusterLab(['ipv4']), external: {ipv4: '10.0.0.0/30'}}), 'node-1');
	t.is(textOf(node, '/etc/vmlab/external-addresses/ipv4'), '10.0.0.1\n10.0.0.2\n');
	const large = machineOf(await planOfLab(clusterLab(['ipv4'])), 'node-1');
	t.is(textOf(large, '/etc/vmlab/external-addresses/ipv4').trim().split('\n').length, 250);
});

test('nodes ask the cluster\'s DNS, routers and testers do not', async t => {
	const plan = await planOfLab(clusterLab(['ipv6', 'ipv4']));
	t.regex(textOf(machineOf(plan, 'node-2'), '/etc/resolv.conf'), /^nameserver fd00:4000::a\nnameserver 12\.0\.0\.10\n/);
	t.notRegex(textOf(machineOf(plan, 'tester-1'), '/etc/resolv.conf'), /nameserver/);
});

test('the Service of the cluster\'s DNS has an address in each family', async t => {
	const plan = await planOfLab(clusterLab(['ipv6', 'ipv4']));
	const {items} = JSON.parse(textOf(machineOf(plan, 'node-1'), '/etc/vmlab/manifests/coredns.yaml'));
	const {spec} = items.find((item: {kind: string}) => item.kind === 'Service');
	t.like(spec, {clusterIP: 'fd00:4000::a', clusterIPs: ['fd00:4000::a', '12.0.0.10'], ipFamilies: ['IPv6', 'IPv4'], ipFamilyPolicy: 'RequireDualStack'});
	t.is(textOf(machineOf(plan, 'node-2'), '/etc/vmlab/manifests/coredns.yaml'), '');
});

test('more container images come by option, from files and from the Docker daemon', async t => {
	const plan = await planOfLab(clusterLab(['ipv4']), ['images.files=example.org/server:1.0=/tmp/server.tar', 'images.docker=busybox:1.36, alpine:3']);
	t.true(['example.org/server:1.0', 'busybox:1.36', 'alpine:3'].every(name => plan.topology.images.includes(name)));
	await t.throwsAsync(planOfLab(clusterLab(['ipv4']), ['images.files=/tmp/server.tar']));
});

test('Debian\'s CNI plugins are taken when they are asked for', async t => {
	const plan = await planOfLab(clusterLab(['ipv4']), ['cni-bridge.version=debian']);
	const recipe = plan.stages.find(({name}) => name === 'component cni-plugins')!.recipe;
	t.like(recipe, {component: {anyDebianVersion: true}});
});
