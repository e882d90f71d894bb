import test from 'ava';
import {LabError} from '../../lab/host/error.ts';
import type {Plan} from '../../lab/plan/plan.ts';
import {localBuildId} from '../../lab/plan/stages.ts';
import type {ComponentDeclaration} from '../../lab/spec/component.ts';
import type {LabDeclaration} from '../../lab/spec/lab.ts';
import type {LoadedOverlay} from '../../lab/spec/load.ts';
import type {OverlayDeclaration} from '../../lab/spec/overlay.ts';
import {image, overlay, planOf} from '../rig/overlay.ts';

const component = (name: string, version = '1.0.0', more: Partial<ComponentDeclaration> = {}): ComponentDeclaration =>
	({name, version, programs: [{name, path: `/usr/bin/${name}`}], ...more});

/** A cluster in small: each kind of thing that an overlay can declare is there once. */
function cluster(change: Partial<Record<'base' | 'etcd' | 'containerd' | 'kubernetes', Partial<OverlayDeclaration<any>>>> = {}, baseFiles: Record<string, string> = {'usr/lib/systemd/system/base.service': 'unit'}): LoadedOverlay[] {
	return [
		overlay('base', {
			packages: ['openssh-server', 'iproute2'],
			kernel: () => ({modules: ['vrf'], sysctls: {'net.core.somaxconn': 4096}}),
			files: ({machine, lab, routes}) => [
				{path: '/etc/hostname', text: `${machine.name}\n`},
				{path: '/etc/hosts', text: lab.machines.flatMap(({name, address}) => lab.families.map((family) => `${address[family]} ${name}\n`)).join('')},
				{path: '/etc/vmlab/routes', text: routes.map(({to, via}) => `${to} ${via.join(' ')}\n`).join('')},
			],
			units: () => ['base.service'],
			state: ['/var/log'],
			...change.base,
		}, baseFiles),
		overlay('etcd', {
			needs: ['base'], roles: ['node'], provides: ['kv'],
			options: {version: {default: '3.6.5', summary: 'version'}},
			components: ({version}) => [component('etcd', version as string, {go: {module: 'go.etcd.io/etcd/server/v3', packages: {etcd: 'go.etcd.io/etcd/server/v3'}}})],
			// The second is in the first.
			state: ['/var/lib/etcd', '/var/lib/etcd/member'],
			...change.etcd,
		}),
		overlay('containerd', {needs: ['base'], roles: ['node'], provides: ['cri'], components: () => [component('containerd')], ...change.containerd}),
		overlay('kubernetes', {
			needs: ['kv', 'cri'], roles: ['node'],
			options: {version: {default: '1.36.3', summary: 'version'}, dir: {default: '', summary: 'own build'}},
			components: ({version, dir}) => [component('kubernetes', version as string, {dir: dir as string, programs: [{name: 'kubelet', path: '/usr/bin/kubelet'}, {name: 'kube-proxy'}]})],
			images: ({version}) => [{reference: `registry.k8s.io/kube-proxy:v${version}`, source: {component: 'kubernetes', programs: {'kube-proxy': '/kube-proxy'}, entrypoint: ['/kube-proxy']}}],
			ready: ({machine}) => [{sentence: `${machine.name} is Ready`, deadline: '60s', command: 'true'}],
			evidence: () => [{name: 'pods.txt', command: 'kubectl get pods'}],
			forwards: ({lab}) => lab.machines.filter(({name}) => name === 'node-1').map(({name}) => ({name: 'kube-apiserver', machine: name, port: 6443, hostPort: 18_080})),
			access: () => ({forward: 'kube-apiserver', authority: 'kubernetes', client: {authority: 'kubernetes', commonName: 'admin', usages: ['client']}}),
			...change.kubernetes,
		}),
	];
}

const keys = (plan: Plan): Record<string, string> => Object.fromEntries(plan.stages.map(({name, key}) => [name, key]));

/** The stages whose keys differ, sorted. */
function changed(a: Plan, b: Plan): string[] {
	const [before, after] = [keys(a), keys(b)];
	return [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((name) => before[name] !== after[name]).sort();
}

/** The problems that a plan is refused with. */
function problemsOf(overlays: readonly LoadedOverlay[], lab: Partial<LabDeclaration> = {}, settings: string[] = []): readonly string[] {
	try {
		planOf(overlays, lab, {settings});
	} catch (error) {
		if (error instanceof LabError && error.exitCode === 3) {
			return error.details.length === 0 ? [error.message] : error.details;
		}

		throw error;
	}

	return [];
}

test('a plan has the chain of the lab, each stage after what it needs', (t) => {
	const {stages} = planOf(cluster());
	t.deepEqual(stages.map(({name}) => name), [
		'image bookworm', 'component containerd', 'component etcd', 'component kubernetes', 'container-image registry.k8s.io/kube-proxy:v1.36.3',
		'layer node', 'layer router', 'layer tester', 'layer image store', 'disk 4GiB', 'disk 16GiB', 'image store',
	]);
	for (const [index, stage] of stages.entries()) {
		t.true(stage.needs.every((need) => stages.slice(0, index).some(({name}) => name === need)), stage.name);
		t.regex(stage.key, /^[0-9a-f]{64}$/);
	}
});

test('the layer of a role has the trees and programs of its overlays', (t) => {
	const {stages} = planOf(cluster());
	t.like(stages.find(({name}) => name === 'layer node')?.recipe, {
		trees: [{overlay: 'base', folder: '/overlays/base/rootfs'}],
		components: [
			{stage: 'component containerd', programs: [{name: 'containerd', path: '/usr/bin/containerd'}]},
			{stage: 'component etcd', programs: [{name: 'etcd', path: '/usr/bin/etcd'}]},
			{stage: 'component kubernetes', programs: [{name: 'kubelet', path: '/usr/bin/kubelet'}]},
		],
		images: [],
	});
	t.like(stages.find(({name}) => name === 'layer tester')?.recipe, {components: [], images: []});
});

test('the container images are in a store that the runtime makes, with nothing else of the lab', (t) => {
	const {stages, machines} = planOf(cluster(), {families: ['ipv4', 'ipv6']});
	t.like(stages.find(({name}) => name === 'layer image store')?.recipe, {
		trees: [{overlay: 'base', folder: '/overlays/base/rootfs'}],
		components: [{stage: 'component containerd', programs: [{name: 'containerd', path: '/usr/bin/containerd'}]}],
		images: ['container-image registry.k8s.io/kube-proxy:v1.36.3'],
	});
	const store = stages.find(({name}) => name === 'image store');
	t.deepEqual(store?.needs, ['image bookworm', 'layer image store', 'disk 16GiB']);
	const lab = store?.recipe.kind === 'image-store' ? store.recipe.lab : undefined;
	t.like(lab, {overlays: ['base', 'containerd'], topology: {providers: {cri: 'containerd'}, images: ['registry.k8s.io/kube-proxy:v1.36.3']}});
	t.deepEqual(lab?.machines.map(({name, overlays, stages: own}) => ({name, overlays, own})), [
		{name: 'node-1', overlays: ['base', 'containerd'], own: {image: 'image bookworm', layer: 'layer image store', disk: 'disk 16GiB'}},
	]);
	t.deepEqual(machines.map(({name, stages: own}) => [name, own.store]), [['node-1', 'image store'], ['node-2', 'image store'], ['router-1', undefined], ['tester-1', undefined]]);
});

test('another container image, another version or file of the runtime, or another image of the machines makes another store', (t) => {
	const store = (overlays: LoadedOverlay[], lab: Partial<LabDeclaration> = {}): string | undefined => keys(planOf(overlays, lab))['image store'];
	const before = store(cluster());
	t.regex(before ?? '', /^[0-9a-f]{64}$/);
	const others = {
		'an image': cluster({kubernetes: {images: () => [{reference: 'busybox:1', source: {docker: 'busybox:1'}}]}}),
		'a version': cluster({containerd: {components: () => [component('containerd', '2.0.0')]}}),
		'a file of the machine': cluster({containerd: {files: () => [{path: '/etc/containerd/config.toml', text: 'version = 3'}]}}),
		'a package': cluster({containerd: {packages: ['runc']}}),
		'what the runtime needs': cluster({}, {'usr/lib/systemd/system/base.service': 'another'}),
	};
	for (const [what, overlays] of Object.entries(others)) {
		t.not(store(overlays), before, what);
	}
});

test('what has nothing to do with container images leaves the store as it is', (t) => {
	const store = (overlays: LoadedOverlay[], lab: Partial<LabDeclaration> = {}): string | undefined => keys(planOf(overlays, lab))['image store'];
	const before = store(cluster());
	t.is(store(cluster(), {families: ['ipv4', 'ipv6'], machines: {node: {count: 5, memory: '4GiB'}}}), before, 'the lab\'s machines, and a second family');
	t.is(store(cluster({etcd: {components: () => [component('etcd', '4.0.0')], files: () => [{path: '/etc/etcd', text: ''}]}})), before, 'another overlay');
	t.is(store(cluster({base: {evidence: () => [{name: 'more.txt', command: 'more'}], ready: () => [{sentence: 'it is there', deadline: '5s', command: 'true'}]}})), before, 'what is waited for and collected');
	const edited = cluster().map((one) => (one.name === 'kubernetes' ? overlay('kubernetes', one.manifest, {'usr/lib/vmlab/any': 'edited'}) : one));
	t.deepEqual(changed(planOf(cluster()), planOf(edited)), ['layer node']);
});

test('a lab without a container runtime, or without container images, has no image store', (t) => {
	const names = (overlays: LoadedOverlay[], lab: Partial<LabDeclaration> = {}): string[] => planOf(overlays, lab).stages.map(({name}) => name);
	const withImage = overlay('a', {images: () => [{reference: 'busybox:1', source: {docker: 'busybox:1'}}]});
	t.deepEqual(names([withImage]), ['image bookworm', 'layer node', 'layer router', 'layer tester', 'disk 4GiB']);
	t.false(names(cluster({kubernetes: {images: () => []}})).includes('image store'));
	t.false(names(cluster(), {machines: {router: {count: 1}}}).includes('image store'));
});

test('kernel modules are built for the image, once for a lab, and are in the layers of the roles that have them', (t) => {
	const overlays = (image: readonly string[] = []): LoadedOverlay[] => [
		...cluster({base: {packages: image}}),
		overlay('jool', {roles: ['router'], modulePackages: ['jool-dkms']}),
		overlay('tunnel', {roles: ['tester'], modulePackages: ['wireguard-dkms', 'jool-dkms']}),
	];
	const plan = planOf(overlays());
	const find = (name: string): Plan['stages'][number] | undefined => plan.stages.find((stage) => stage.name === name);
	const name = 'modules jool-dkms wireguard-dkms';
	t.like(find(name), {needs: ['image bookworm'], recipe: {kind: 'modules', image: 'image bookworm', release: 'bookworm', packages: ['jool-dkms', 'wireguard-dkms']}});
	t.is(plan.stages.filter(({recipe}) => recipe.kind === 'modules').length, 1);
	t.deepEqual(['layer node', 'layer router', 'layer tester'].map((layer) => find(layer)?.needs.includes(name)), [false, true, true]);
	t.like(find('layer router')?.recipe, {modules: name});
	t.false('modules' in find('layer node')!.recipe);
	t.deepEqual(changed(plan, planOf(overlays(['strace']))).filter((stage) => /^(image bookworm|modules|layer)/.test(stage)), ['image bookworm', 'layer router', 'layer tester', name]);
	t.false(planOf(overlays(), {machines: {node: {count: 1}}}).stages.some(({recipe}) => recipe.kind === 'modules'));
});

test('a program without a path is in no layer, and there for container images', (t) => {
	const {stages} = planOf([overlay('a', {provides: ['cri'], components: () => [component('pause', '1.0.0', {programs: [{name: 'pause'}]})], images: () => [{reference: 'pause:3', source: {component: 'pause', programs: {pause: '/pause'}, entrypoint: ['/pause']}}]})]);
	t.true(stages.some(({name}) => name === 'component pause'));
	t.like(stages.find(({name}) => name === 'layer node')?.recipe, {components: []});
	t.like(stages.find(({name}) => name === 'layer image store')?.recipe, {components: [], images: ['container-image pause:3']});
	t.like(stages.find(({name}) => name === 'container-image pause:3'), {needs: ['component pause'], recipe: {from: 'component pause'}});
});

test('a component that no machine has is not made', (t) => {
	const {stages} = planOf(cluster(), {machines: {router: {count: 1}}}, {});
	t.deepEqual(stages.map(({name}) => name), ['image bookworm', 'layer router', 'disk 4GiB']);
});

test('the image has the packages of all overlays, sorted and once each', (t) => {
	const recipe = planOf(cluster()).stages[0]!.recipe;
	t.deepEqual(recipe.kind === 'image' ? recipe.packages : undefined, ['iproute2', 'openssh-server', 'systemd']);
});

test('a machine has what its overlays say of it', (t) => {
	const {machines} = planOf(cluster());
	const [node, , router] = machines;
	t.like(node, {
		name: 'node-1', overlays: ['base', 'containerd', 'etcd', 'kubernetes'], units: ['base.service'], state: ['/var/lib/etcd', '/var/log'],
		ready: [{sentence: 'node-1 is Ready'}], stages: {image: 'image bookworm', layer: 'layer node', disk: 'disk 4GiB'},
	});
	t.deepEqual(node!.files.map(({path}) => path), ['/etc/hostname', '/etc/hosts', '/etc/vmlab/routes', '/etc/modules-load.d/vmlab.conf', '/etc/sysctl.d/90-vmlab.conf']);
	t.like(router, {name: 'router-1', overlays: ['base'], state: ['/var/log'], ready: [], evidence: []});
});

test('the lab is told who provides what, which options hold, and which images there are', (t) => {
	const {topology, forwards, access} = planOf(cluster(), {}, {settings: ['etcd.version=3.6.4']});
	t.deepEqual(topology.providers, {cri: 'containerd', kv: 'etcd'});
	t.like(topology.options, {etcd: {version: '3.6.4'}, kubernetes: {version: '1.36.3'}});
	t.deepEqual(topology.images, ['registry.k8s.io/kube-proxy:v1.36.3']);
	t.deepEqual(forwards, [{name: 'kube-apiserver', machine: 'node-1', port: 6443, hostPort: 18_080}]);
	t.is(access?.forward, 'kube-apiserver');
});

test('overlays see all routes of a machine, with the default ones', (t) => {
	const plan = planOf(cluster({containerd: {routes: ({lab}) => lab.machines.filter(({role}) => role === 'node').map(({pods, address}) => ({family: 'ipv4', to: pods.ipv4!, via: [address.ipv4!]}))}}));
	const node = plan.machines[0]!;
	t.deepEqual(node.routes.map(({to, via}) => [to, ...via]), [['default', '192.168.1.201'], ['11.0.1.0/24', '192.168.1.1'], ['11.0.2.0/24', '192.168.1.2']]);
	t.like(node.files.find(({path}) => path === '/etc/vmlab/routes'), {text: 'default 192.168.1.201\n11.0.1.0/24 192.168.1.1\n11.0.2.0/24 192.168.1.2\n'});
});

test('an overlay\'s default route takes the place of the usual one', (t) => {
	const plan = planOf([overlay('a', {roles: ['node'], routes: () => [{family: 'ipv4', to: 'default', via: ['192.168.1.9']}]})]);
	t.deepEqual(plan.machines[0]!.routes, [{family: 'ipv4', to: 'default', via: ['192.168.1.9']}]);
});

test('an option decides which overlay provides a capability', (t) => {
	const overlays = [
		overlay('containerd', {provides: ['cri']}), overlay('crio', {provides: ['cri']}),
		overlay('kubernetes', {options: {runtime: {default: 'containerd', values: ['containerd', 'crio'], summary: 'runtime'}}, needs: (options: any) => [options.runtime]}),
	];
	const lab = {overlays: ['kubernetes']};
	t.deepEqual(planOf(overlays, lab).overlays, ['containerd', 'kubernetes']);
	const crio = planOf(overlays, lab, {settings: ['kubernetes.runtime=crio']});
	t.deepEqual(crio.overlays, ['crio', 'kubernetes']);
	t.deepEqual(crio.topology.providers, {cri: 'crio'});
	t.deepEqual(planOf(overlays, {...lab, options: {kubernetes: {runtime: 'crio'}, containerd: {}}}).overlays, ['crio', 'kubernetes']);
});

test('two plans from the same declarations are equal', (t) => {
	t.deepEqual(planOf(cluster()), planOf(cluster()));
	t.deepEqual(planOf(cluster()), planOf(cluster().reverse(), {machines: {tester: {count: 1}, router: {count: 1}, node: {count: 2}}}));
});

test('what is wrong with links is in the plan, and no part of what is booted', (t) => {
	const overlays = cluster();
	const [plain, impaired] = [planOf(overlays), planOf(overlays, {links: {'node-1@cluster': [{direction: 'to', loss: '5%'}]}})];
	t.deepEqual(impaired.links, [{link: 'node-1@cluster', impairments: [{direction: 'to', loss: 0.05}]}]);
	t.is(plain.links, undefined);
	t.is(impaired.key, plain.key);
	const error = t.throws<LabError>(() => planOf(overlays, {links: {'node-9@cluster': [{cut: true}]}}), {code: 'bad-declaration'});
	t.regex(error.details.join('\n'), /links: there is no link `node-9@cluster`/);
});

test('keys do not depend on where things are', (t) => {
	const moved = cluster().map((one) => ({...one, folder: `/elsewhere/${one.name}`, file: `/elsewhere/${one.name}/overlay.ts`}));
	const [here, there] = [planOf(cluster()), planOf(moved)];
	t.deepEqual(changed(here, there), []);
	t.is(here.key, there.key);
});

test('a changed file of an overlay changes the layers that have it, and nothing before them', (t) => {
	const [before, after] = [planOf(cluster()), planOf(cluster({}, {'usr/lib/systemd/system/base.service': 'another'}))];
	t.deepEqual(changed(before, after), ['image store', 'layer image store', 'layer node', 'layer router', 'layer tester']);
	t.not(before.key, after.key);
});

test('a changed mode of a file changes the layer', (t) => {
	const other = cluster();
	other[0] = {...other[0]!, tree: other[0]!.tree.map((entry) => (entry.kind === 'file' ? {...entry, mode: 0o755} : entry))};
	t.deepEqual(changed(planOf(cluster()), planOf(other)), ['image store', 'layer image store', 'layer node', 'layer router', 'layer tester']);
});

test('another version changes its component, and what is made from it', (t) => {
	t.deepEqual(changed(planOf(cluster()), planOf(cluster(), {}, {settings: ['etcd.version=3.6.4']})), ['component etcd', 'layer node']);
	t.deepEqual(changed(planOf(cluster()), planOf(cluster({kubernetes: {images: () => [{reference: 'kube-proxy:1', source: {component: 'kubernetes', programs: {'kube-proxy': '/kube-proxy'}, entrypoint: ['/kube-proxy', '-v']}}]}}))), [
		'container-image kube-proxy:1', 'container-image registry.k8s.io/kube-proxy:v1.36.3', 'image store', 'layer image store',
	]);
});

test('changed Go modules change the components that are built from them', (t) => {
	const other = cluster().map((one) => ({...one, goDigest: 'f'.repeat(64)}));
	t.deepEqual(changed(planOf(cluster()), planOf(other)), ['component etcd', 'layer node']);
});

test('another package changes the image, and the store that is made with it', (t) => {
	t.deepEqual(changed(planOf(cluster()), planOf(cluster({base: {packages: ['openssh-server', 'iproute2', 'tcpdump']}}))), ['image bookworm', 'image store']);
});

test('another text of a machine\'s file changes no stage, but the lab', (t) => {
	const [before, after] = [planOf(cluster()), planOf(cluster({etcd: {files: () => [{path: '/etc/etcd.conf', text: 'x'}]}}))];
	t.deepEqual(changed(before, after), []);
	t.not(before.key, after.key);
});

test('kernel arguments change no stage, but the lab', (t) => {
	const [before, after] = [planOf(cluster()), planOf(cluster(), {}, {image: {...image, kernelArguments: ['quiet'], summary: 'another'}})];
	t.deepEqual(changed(before, after), []);
	t.not(before.key, after.key);
});

test('another source of random numbers changes no stage, but the lab; overlays do not see it', (t) => {
	const withTester = (tester: LabDeclaration['machines'][string]): Plan => planOf(cluster(), {machines: {node: {count: 1}, router: {count: 1}, tester}});
	const [before, after] = [withTester({count: 1}), withTester({count: 1, entropy: []})];
	t.deepEqual(changed(before, after), []);
	t.not(before.key, after.key);
	t.not(after.key, withTester({count: 1, entropy: ['virtio-rng']}).key);
	t.is(before.key, withTester({count: 1, entropy: ['virtio-rng', 'boot', 'processor']}).key, 'all of them are the default');
	t.deepEqual(after.machines.map(({name, entropy}) => [name, entropy]), [['node-1', undefined], ['router-1', undefined], ['tester-1', []]]);
	t.deepEqual(after.topology, before.topology);
});

test('a local build counts by its content, not by its folder', (t) => {
	const plan = (folder: string, digest: string): Plan => planOf(cluster(), {}, {settings: [`kubernetes.dir=${folder}`], localDigests: {[localBuildId('kubernetes', folder)]: digest}});
	t.deepEqual(changed(plan('/a', '1'), plan('/b', '1')), []);
	t.is(plan('/a', '1').key, plan('/b', '1').key);
	t.deepEqual(changed(plan('/a', '1'), plan('/a', '2')), ['component kubernetes', 'container-image registry.k8s.io/kube-proxy:v1.36.3', 'image store', 'layer image store', 'layer node']);
	t.like(plan('/a', '1').stages.find(({name}) => name === 'component kubernetes')?.recipe, {localDigest: '1', component: {dir: '/a'}});
	t.deepEqual(changed(plan('', ''), planOf(cluster())), [], 'an empty folder is none');
});

test('roles with the same content share a layer', (t) => {
	const found = keys(planOf(cluster()));
	t.is(found['layer router'], found['layer tester']);
	t.not(found['layer router'], found['layer node']);
});

test('each size of disk is made once', (t) => {
	const {stages, machines} = planOf(cluster(), {machines: {node: {count: 2, disk: '8GiB'}, router: {count: 1}, tester: {count: 1, disk: '512MiB'}}});
	t.deepEqual(stages.filter(({recipe}) => recipe.kind === 'disk').map(({name}) => name), ['disk 512MiB', 'disk 4GiB', 'disk 8GiB', 'disk 16GiB']);
	t.is(machines[0]!.stages.disk, 'disk 8GiB');
});

test('an IPv6-only lab has no IPv4 anywhere in its plan', (t) => {
	const seen: string[] = [];
	const overlays = cluster({kubernetes: {files: ({lab, machine}) => {
		seen.push(...lab.families);
		return [{path: '/etc/addresses', text: JSON.stringify([lab.pods, lab.services, lab.external, machine])}];
	}}});
	const text = JSON.stringify(planOf(overlays, {families: ['ipv6']}));
	t.deepEqual([...new Set(seen)], ['ipv6']);
	t.notRegex(text, /\d+\.\d+\.\d+\.\d+/);
	t.notRegex(text, /"ipv4"/);
	t.regex(text, /1000::1:c0a8:101/);
});

test('a lab of both families has both, the preferred first', (t) => {
	const {topology} = planOf(cluster(), {families: ['ipv6', 'ipv4']});
	t.deepEqual(topology.families, ['ipv6', 'ipv4']);
	t.deepEqual(Object.keys(topology.machines[0]!.address), ['ipv6', 'ipv4']);
});

test('two overlays that write one path are refused, by name', (t) => {
	const a = overlay('a', {}, {'etc/x.conf': 'a'});
	const error = t.throws(() => planOf([a, overlay('b', {files: () => [{path: '/etc/x.conf', text: 'b'}]})]), {code: 'overlay-collision', message: 'overlays `a` and `b` both write /etc/x.conf'});
	t.like(error, {exitCode: 3});
	t.deepEqual(problemsOf([a, overlay('b', {components: () => [component('x', '1.0.0', {programs: [{name: 'x', path: '/etc/x.conf'}]})]})]), ['overlays `a` and `b` both write /etc/x.conf']);
	t.deepEqual(problemsOf([a, overlay('b', {needs: ['a'], replaces: ['/etc/x.conf']}, {'etc/x.conf': 'b'})]), []);
});

test('overlays of different roles may write one path', (t) => {
	t.deepEqual(problemsOf([overlay('a', {roles: ['node']}, {'etc/x': 'a'}), overlay('b', {roles: ['router']}, {'etc/x': 'b'})]), []);
});

test('a program that another overlay replaces is left out of the layer', (t) => {
	const {stages} = planOf([overlay('a', {components: () => [component('x')]}), overlay('b', {needs: ['a'], replaces: ['/usr/bin/x']}, {'usr/bin/x': 'b'})]);
	t.like(stages.find(({name}) => name === 'layer node')?.recipe, {components: []});
});

test('a file that another overlay replaces is left out of the machine', (t) => {
	const file = (text: string) => () => [{path: '/etc/x', text}];
	const {machines} = planOf([overlay('a', {files: file('a')}), overlay('b', {replaces: ['/etc/x'], files: file('b')})]);
	t.deepEqual(machines[0]!.files, [{path: '/etc/x', text: 'b'}]);
});

test('the plan\'s own files are nobody else\'s', (t) => {
	t.deepEqual(problemsOf([overlay('a', {}, {'etc/sysctl.d/90-vmlab.conf': ''})]), ['overlays `a` and `vmlab` both write /etc/sysctl.d/90-vmlab.conf']);
});

test('all problems of a lab are told at once', (t) => {
	const problems = problemsOf(cluster(), {
		machines: {node: {count: 300}}, networks: {cluster: {subnets: {ipv4: '1.2.3.4/8'}}}, options: {etdc: {version: '1'}, etcd: {verison: '1'}},
	}, ['kubernetes.verzion=1', 'nothing.x=1']);
	for (const pattern of [/machines\.node: a lab has addresses for at most 200/, /network cluster: `1\.2\.3\.4\/8`/, /there is no overlay `etdc`/, /no option `verison`; did you mean `version`/, /no option `verzion`/, /--set nothing: overlay `nothing` is not part of the lab/]) {
		t.true(problems.some((problem) => pattern.test(problem)), `${pattern.source}\n${problems.join('\n')}`);
	}
});

test('a lab of the wrong shape is refused with each wrong key', (t) => {
	const problems = problemsOf([], {overlay: [], machines: {node: {count: 'two', memroy: '1GiB'}}} as never);
	t.deepEqual(problems, [
		'`machines.node.count` must be a number, not a text',
		'`machines.node.memroy` is not known; did you mean `memory`?',
		'`overlay` is not known; did you mean `overlays`?',
	]);
});

test('what a function of an overlay gets wrong is told with the machine', (t) => {
	t.deepEqual(problemsOf([overlay('a', {roles: ['router'], files: () => [{path: 'etc/x', txt: 'a'} as never], units: () => ['foo'], ready: () => [{sentence: 'x', deadline: '1s', unit: 'a.service', port: 1}]})]), [
		'overlay `a`: files of router-1: `[0].path` must be an absolute path without a slash at its end',
		'overlay `a`: files of router-1: `[0].txt` is not known; did you mean `text`?',
		'overlay `a`: files of router-1: `[0]` must have exactly one of text, authority, authorityKey, certificate, certificateKey, keyPair, ssh, link',
		'overlay `a`: units of router-1: `[0]` must be the whole name of a systemd unit',
		'overlay `a`: ready of router-1: `[0]` must have exactly one of unit, port, command, and has unit and port',
	]);
});

test('what is restarted in forks is collected for each machine, once, and left out where nothing is', (t) => {
	const {machines} = planOf([
		overlay('a', {roles: ['node'], restartInForks: ({machine}) => (machine.name === 'node-1' ? ['web.service', 'dns.service'] : [])}),
		overlay('b', {roles: ['node'], restartInForks: () => ['web.service']}),
	]);
	t.deepEqual(machines.map(({name, restartInForks}) => [name, restartInForks]), [
		['node-1', ['dns.service', 'web.service']], ['node-2', ['web.service']], ['router-1', undefined], ['tester-1', undefined],
	]);
	t.deepEqual(problemsOf([overlay('a', {roles: ['router'], restartInForks: () => ['web']})]), ['overlay `a`: restartInForks of router-1: `[0]` must be the whole name of a systemd unit']);
});

test('what a function of an overlay throws is told with the overlay', (t) => {
	const failing = (): never => {
		throw new TypeError('nothing there');
	};
	t.deepEqual(problemsOf([overlay('a', {roles: ['router'], files: failing, forwards: failing})]), [
		'overlay `a`: files of router-1 threw: nothing there', 'overlay `a`: forwards threw: nothing there',
	]);
	t.deepEqual(problemsOf([overlay('a', {components: failing})]), ['overlay `a`: components threw: nothing there']);
	t.deepEqual(problemsOf([overlay('a', {files: (async () => []) as never, roles: ['router']})]), ['overlay `a`: files of router-1: it must be a list, not a promise']);
});

test('paths that are not usr-merged are refused wherever they are written', (t) => {
	t.regex(problemsOf([overlay('a', {}, {'sbin/x': ''})]).join(), /rootfs\/sbin would hide a link/);
	t.regex(problemsOf([overlay('a', {files: () => [{path: '/bin/x', text: ''}]})]).join(), /must be usr-merged/);
	t.regex(problemsOf([overlay('a', {components: () => [component('x', '1.0.0', {programs: [{name: 'x', path: '/sbin/x'}]})]})]).join(), /must be usr-merged/);
});

test('an unknown role, machine, forward or family is refused', (t) => {
	t.deepEqual(problemsOf([overlay('a', {roles: ['nod']})]), ['overlay `a`: there is no role `nod`; did you mean `node`?']);
	t.deepEqual(problemsOf([], {forwards: [{name: 'web', machine: 'node-9', port: 80}]}), ['forward `web`: there is no machine `node-9`; known are node-1, node-2, router-1, tester-1']);
	t.deepEqual(problemsOf([overlay('a', {access: () => ({forward: 'x', authority: 'k', client: {authority: 'k', commonName: 'a', usages: ['client']}})})]), ['overlay `a`: access goes through forward `x`, which the lab does not have']);
	t.deepEqual(problemsOf([overlay('a', {roles: ['router'], routes: () => [{family: 'ipv6', to: 'default', via: ['fd00::1']}, {family: 'ipv4', to: '10.9.0.0/16', via: ['fd00::1']}, {family: 'ipv4', to: 'there', via: ['10.0.0.1']}]})]), [
		'overlay `a`: the route of router-1 to default is of family ipv6, which the lab does not have',
		'overlay `a`: the route of router-1 to 10.9.0.0/16 goes via `fd00::1`, which is no ipv4 address',
		'overlay `a`: the route of router-1 to there is to no ipv4 subnet',
	]);
});

test('contradictions between overlays are refused', (t) => {
	const route = (via: string) => () => [{family: 'ipv4' as const, to: '10.9.0.0/16', via: [via]}];
	t.deepEqual(problemsOf([overlay('a', {roles: ['router'], routes: route('192.168.1.1')}), overlay('b', {roles: ['router'], routes: route('192.168.1.2')})]), ['overlays `a` and `b` route 10.9.0.0/16 differently on router-1']);
	t.deepEqual(problemsOf([overlay('a', {components: () => [component('x')]}), overlay('b', {components: () => [component('x')]})]).slice(0, 1), ['component `x` is declared by overlay `a` and by `b`']);
	const access = () => ({forward: 'web', authority: 'k', client: {authority: 'k', commonName: 'a', usages: ['client' as const]}});
	t.regex(problemsOf([overlay('a', {access}), overlay('b', {access})], {forwards: [{name: 'web', machine: 'node-1', port: 80}]}).join(), /`a` and `b` each say how the cluster is reached/);
});

test('a container image is made from a component that the lab has', (t) => {
	const from = (name: string, program: string) => () => [{reference: 'x:1', source: {component: name, programs: {[program]: '/x'}, entrypoint: ['/x']}}];
	t.deepEqual(problemsOf([overlay('a', {components: () => [component('x')], images: from('y', 'x')})]), ['container image x:1 of overlay `a`: there is no component `y`; the lab has x']);
	t.deepEqual(problemsOf([overlay('a', {components: () => [component('x')], images: from('x', 'y')})]), ['container image x:1 of overlay `a`: component `x` has no program `y`; it has x']);
});

test('one container image may be declared by two overlays, from one source', (t) => {
	const docker = (name: string) => () => [{reference: 'x:1', source: {docker: name}}];
	t.deepEqual(problemsOf([overlay('a', {images: docker('x')}), overlay('b', {images: docker('x')})]), []);
	t.regex(problemsOf([overlay('a', {images: docker('x')}), overlay('b', {images: docker('y')})]).join(), /declared by overlay `a` and, from another source, by `b`/);
});

test('a problem of a file that declares the lab says which', (t) => {
	const error = t.throws(() => planOf([], {machines: {}}, {file: '/p/scripts/x.ts'}), {instanceOf: LabError});
	t.deepEqual(error?.where, {file: '/p/scripts/x.ts'});
});
