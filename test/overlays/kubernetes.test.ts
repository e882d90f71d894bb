import test from 'ava';
import type {LabError} from '../../lab/host/error.ts';
import {clusterLab, singleNodeLab} from '../../scripts/labs/kubernetes.ts';
import type {Family} from '../../lab/spec/family.ts';
import type {CertificateRequest} from '../../lab/spec/secret.ts';
import {allText, fileOf, machineOf, planOfLab, textOf} from './cluster-plan.ts';

const combinations: ReadonlyArray<readonly Family[]> = [['ipv4'], ['ipv6'], ['ipv4', 'ipv6'], ['ipv6', 'ipv4']];

/** Every certificate that a machine is given. */
function certificates(plan: Awaited<ReturnType<typeof planOfLab>>, machine: string): CertificateRequest[] {
	return machineOf(plan, machine).files.flatMap(file => 'certificate' in file ? [file.certificate] : []);
}

test('a cluster of one family has only addresses of that family', async t => {
	const ipv6 = await planOfLab(clusterLab(['ipv6']));
	for (const machine of ipv6.machines) {
		t.deepEqual([...allText(machine).matchAll(/\b(?!127\.)\d+\.\d+\.\d+\.\d+\b/g)].map(([match]) => match), [], machine.name);
		t.deepEqual(machine.routes.filter(route => route.family === 'ipv4'), [], machine.name);
	}

	const ipv4 = await planOfLab(clusterLab(['ipv4']));
	for (const machine of ipv4.machines) {
		t.notRegex(allText(machine), /\b1[01]00::|\bfd00:/, machine.name);
		t.deepEqual(machine.routes.filter(route => route.family === 'ipv6'), [], machine.name);
	}
});

for (const families of combinations) {
	test(`the ranges of a cluster of ${families.join(' and ')} are in the order of its families`, async t => {
		const node = machineOf(await planOfLab(clusterLab(families)), 'node-1');
		const services = {ipv4: '12.0.0.0/16', ipv6: 'fd00:4000::/112'};
		const pods = {ipv4: '11.0.0.0/16', ipv6: '1100::/48'};
		t.true(textOf(node, '/etc/kubernetes/kube-apiserver.env').includes(`--service-cluster-ip-range=${families.map(family => services[family]).join(',')} `));
		t.true(textOf(node, '/etc/kubernetes/kube-controller-manager.env').includes(`--cluster-cidr=${families.map(family => pods[family]).join(',')} `));
		t.is(JSON.parse(textOf(node, '/etc/kubernetes/kube-proxy.yaml')).clusterCIDR, families.map(family => pods[family]).join(','));
		const addresses = {ipv4: '192.168.1.1', ipv6: '1000::1:c0a8:101'};
		t.regex(textOf(node, '/etc/kubernetes/kubelet.env'), new RegExp(`--node-ip=${families.map(family => addresses[family]).join(',')}"`));
		const dns = {ipv4: '12.0.0.10', ipv6: 'fd00:4000::a'};
		t.deepEqual(JSON.parse(textOf(node, '/etc/kubernetes/kubelet.yaml')).clusterDNS, families.map(family => dns[family]));
	});

	test(`the nodes of a cluster of ${families.join(' and ')} get the pod subnets that the lab gives them`, async t => {
		const plan = await planOfLab(clusterLab(families));
		for (const node of ['node-1', 'node-2']) {
			const wanted = families.map(family => machineOf(plan, node).pods[family]);
			t.deepEqual(JSON.parse(textOf(machineOf(plan, 'node-1'), `/etc/kubernetes/nodes/${node}.json`)).spec, {podCIDR: wanted[0], podCIDRs: wanted});
			const {plugins} = JSON.parse(textOf(machineOf(plan, node), '/etc/cni/net.d/10-vmlab.conflist'));
			t.deepEqual(plugins[0].ipam.ranges, wanted.map(subnet => [{subnet}]));
		}
	});

	test(`the API server of a cluster of ${families.join(' and ')} is reached from the host and from inside`, async t => {
		const plan = await planOfLab(clusterLab(families));
		const node = machineOf(plan, 'node-1');
		const certificate = certificates(plan, 'node-1').find(({commonName}) => commonName === 'kube-apiserver')!;
		t.true(certificate.addresses!.includes('127.0.0.1'));
		const first = {ipv4: '12.0.0.1', ipv6: 'fd00:4000::1'};
		for (const family of families) {
			t.true(certificate.addresses!.includes(node.address[family]!));
			t.true(certificate.addresses!.includes(first[family]));
		}

		t.regex(textOf(node, '/etc/kubernetes/kube-apiserver.env'), families.includes('ipv6') ? /--bind-address=:: / : /--bind-address=0\.0\.0\.0 /);
		t.deepEqual(plan.forwards, [{name: 'kube-apiserver', machine: 'node-1', port: 6443, hostPort: 18080}]);
		t.deepEqual(plan.access?.client.organizations, ['system:masters']);
	});
}

test('only the first node has the control plane, and keys of the authorities are nowhere else', async t => {
	const plan = await planOfLab(clusterLab(['ipv4']));
	t.true(machineOf(plan, 'node-1').units.includes('kube-apiserver.service'));
	t.true(machineOf(plan, 'node-1').units.includes('etcd.service'));
	for (const name of ['node-2', 'router-1', 'tester-1']) {
		const machine = machineOf(plan, name);
		t.deepEqual(machine.units.filter(unit => /etcd|apiserver|controller|scheduler|manifests|addresses/.test(unit)), []);
		t.deepEqual(machine.files.filter(file => 'authorityKey' in file || 'keyPair' in file), []);
		t.is(fileOf(machine, '/etc/kubernetes/pki/admin.key'), undefined);
	}
});

test('each node has an identity of its own that the Node authorizer knows', async t => {
	const plan = await planOfLab(clusterLab(['ipv4']));
	for (const name of ['node-1', 'node-2']) {
		const file = fileOf(machineOf(plan, name), '/etc/kubernetes/pki/kubelet.crt');
		t.like(file, {certificate: {commonName: `system:node:${name}`, organizations: ['system:nodes'], usages: ['client']}});
		const server = fileOf(machineOf(plan, name), '/etc/kubernetes/pki/kubelet-server.crt');
		t.like(server, {certificate: {addresses: [machineOf(plan, name).address.ipv4], usages: ['server']}});
	}
});

test('the container runtime is an option', async t => {
	const plan = await planOfLab(clusterLab(['ipv4']), ['kubernetes.runtime=crio']);
	t.true(plan.overlays.includes('crio'));
	t.false(plan.overlays.includes('containerd'));
	t.is(plan.topology.providers['cri'], 'crio');
	t.is(JSON.parse(textOf(machineOf(plan, 'node-2'), '/etc/kubernetes/kubelet.yaml')).containerRuntimeEndpoint, 'unix:///run/crio/crio.sock');
	t.regex(textOf(machineOf(plan, 'node-2'), '/etc/crio/crio.conf'), /pause_image = "registry\.k8s\.io\/pause:3\.10\.2"/);
});

test('kube-proxy gets the modules of its mode', async t => {
	const modules = async (...settings: string[]): Promise<string[]> =>
		textOf(machineOf(await planOfLab(clusterLab(['ipv4']), settings), 'node-1'), '/etc/modules-load.d/vmlab.conf').trim().split('\n');
	t.false((await modules()).includes('ip_vs'));
	const ipvs = await modules('kubernetes.proxyMode=ipvs');
	t.true(['ip_vs', 'ip_vs_rr', 'dummy', 'nf_conntrack'].every(name => ipvs.includes(name)));
	await t.throwsAsync(planOfLab(clusterLab(['ipv4']), ['kubernetes.proxyMode=userspace']), {message: /./});
});

test('agnhost and pause have the tags that the version\'s own tests want', async t => {
	const images = async (version: string): Promise<readonly string[]> =>
		(await planOfLab(clusterLab(['ipv4']), [`kubernetes.version=${version}`])).topology.images.filter(name => /agnhost|pause/.test(name));
	t.deepEqual(await images('1.36.3'), ['registry.k8s.io/e2e-test-images/agnhost:2.63.0', 'registry.k8s.io/pause:3.10.2']);
	t.deepEqual(await images('1.35.4'), ['registry.k8s.io/e2e-test-images/agnhost:2.59', 'registry.k8s.io/pause:3.10.1']);
	t.deepEqual(await images('1.30.14'), ['registry.k8s.io/e2e-test-images/agnhost:2.47', 'registry.k8s.io/pause:3.9']);
	t.deepEqual(await images('1.99.0'), ['registry.k8s.io/e2e-test-images/agnhost:2.63.0', 'registry.k8s.io/pause:3.10.2']);
});

test('the container runtime knows the pause image that the nodes have', async t => {
	const plan = await planOfLab(clusterLab(['ipv4']), ['kubernetes.version=1.35.4']);
	t.regex(textOf(machineOf(plan, 'node-1'), '/etc/containerd/config.toml'), /sandbox = "registry\.k8s\.io\/pause:3\.10\.1"/);
});

test('a node without a default route gets one to the Services', async t => {
	const alone = machineOf(await planOfLab(singleNodeLab(['ipv4', 'ipv6'])), 'node-1');
	t.regex(textOf(alone, '/etc/kubernetes/cluster.env'), /SERVICE_ROUTES="route replace 12\.0\.0\.0\/16 dev eth1,route replace fd00:4000::\/112 dev eth1"/);
	const routed = machineOf(await planOfLab(clusterLab(['ipv4'])), 'node-1');
	t.regex(textOf(routed, '/etc/kubernetes/cluster.env'), /SERVICE_ROUTES=""/);
});

test('values that an option does not take are refused, with those that it takes', async t => {
	const refused = async (setting: string): Promise<readonly string[]> =>
		(await t.throwsAsync<LabError>(planOfLab(clusterLab(['ipv4']), [setting]), {code: 'bad-declaration'}, setting))?.details ?? [];
	t.deepEqual(await refused('kubernetes.logLevel=99'), ['--set kubernetes.logLevel: `kubernetes.logLevel` must be a whole number from 0 to 10, not `99`']);
	t.deepEqual(await refused('coredns.replicas=-1'), ['--set coredns.replicas: `coredns.replicas` must be a whole number from 1 to 50, not `-1`']);
	t.deepEqual(await refused('etcd.logLevel=loud'), ['--set etcd.logLevel: `etcd.logLevel` must be one of debug, info, warn, error, not `loud`']);
	t.deepEqual(await refused('kubernetes.version=abc'), ['--set kubernetes.version: `kubernetes.version` must be a version such as 1.36.3, not `abc`']);
	t.deepEqual(await refused('kubernetes.runtime=docker'), ['`kubernetes.runtime` must be an overlay that provides `cri` (containerd, crio), not `docker`']);
	for (const setting of ['kubernetes.clusterDomain=Cluster.Local.', 'coredns.upstream=a {', 'images.files=x:1=~/x.tar', 'images.files=x:1=x.tar', 'cni-bridge.version=deb', 'kubernetes.crictlVersion=1', 'coredns.replicas=1.5']) {
		t.regex((await refused(setting))[0] ?? '', /must be .*, not `/, setting);
	}
});
