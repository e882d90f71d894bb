import test from 'ava';
import {problemsOf, type Shape} from '../../lab/spec/schema.ts';

const texts = (shape: Shape, value: unknown): string[] => problemsOf(shape, value).map(({text}) => text);
const image = {summary: 'x', release: 'bookworm', kernel: 'linux-image-cloud-amd64', packages: [], bootModules: []};
const program = {name: 'etcd', path: '/usr/bin/etcd'};
const component = {name: 'etcd', version: '3.6.5', programs: [program]};

test('right declarations have no problems', (t) => {
	t.deepEqual(texts('image', image), []);
	t.deepEqual(texts('overlay', {summary: 'x'}), []);
	t.deepEqual(texts('overlay', {summary: 'x', needs: () => [], files: () => [], replaces: ['/etc/x'], options: {version: {default: 1, summary: 'x', values: [1, 2]}}}), []);
	t.deepEqual(texts('lab', {machines: {node: {count: 2, memory: '2GiB', networks: ['cluster']}}, overlays: ['base'], families: ['ipv6', 'ipv4'], options: {etcd: {version: '3'}}}), []);
	t.deepEqual(texts('components', [{...component, go: {module: 'm', packages: {etcd: 'm/etcd'}}, debian: {package: 'etcd-server', paths: {etcd: '/usr/bin/etcd'}}}]), []);
});

test('a missing part is told', (t) => {
	const {release: _, ...rest} = image;
	t.deepEqual(texts('image', rest), ['`release` is missing: it must be a text']);
	t.deepEqual(texts('overlay', undefined), ['it is missing: it must be an object']);
});

test('a part of the wrong type is told', (t) => {
	t.deepEqual(texts('image', {...image, packages: 'systemd', mask: [1]}), ['`packages` must be a list, not a text', '`mask[0]` must be a text, not a number']);
	t.deepEqual(texts('lab', {machines: {node: {count: 1.5}}, overlays: []}), ['`machines.node.count` must be a whole number, not a number']);
	t.deepEqual(texts('lab', {machines: {node: {count: -1}}, overlays: []}), ['`machines.node.count` must be at least 0']);
	t.deepEqual(texts('lab', {machines: {}, overlays: [], families: ['ipv5']}), ['`families[0]` must be one of ipv4, ipv6']);
	t.deepEqual(texts('lab', {machines: {}, overlays: [], families: []}), ['`families` must not be empty']);
});

test('a source of random numbers is one of those that there are', (t) => {
	const lab = (entropy: unknown): unknown => ({machines: {tester: {count: 1, entropy}}, overlays: []});
	t.deepEqual(texts('lab', lab([])), []);
	t.deepEqual(texts('lab', lab(['virtio-rng', 'processor', 'boot'])), []);
	t.deepEqual(texts('lab', lab(['virtio_rng'])), ['`machines.tester.entropy[0]` must be one of processor, boot, virtio-rng']);
	t.deepEqual(texts('lab', lab('none')), ['`machines.tester.entropy` must be a list, not a text']);
});

test('an unknown key is told, with the one that was likely meant, else with all', (t) => {
	t.deepEqual(texts('components', [{...component, verison: '1'}]), ['`[0].verison` is not known; did you mean `version`?']);
	t.deepEqual(texts('forwards', [{name: 'x', machine: 'node-1', port: 80, zebra: 1}]), ['`[0].zebra` is not known; known are name, machine, port, hostPort']);
});

test('sizes and durations have units', (t) => {
	t.deepEqual(texts('lab', {machines: {node: {count: 1, memory: '2GB', disk: '4'}}, overlays: []}), [
		'`machines.node.memory` must be a size such as 512MiB or 2GiB', '`machines.node.disk` must be a size such as 512MiB or 2GiB',
	]);
	t.deepEqual(texts('ready', [{sentence: 'x', deadline: '90', port: 1}]), ['`[0].deadline` must be a duration such as 20ms, 90s or 10m']);
});

test('paths on machines are absolute, normal and usr-merged', (t) => {
	for (const path of ['etc/x', '/etc/x/', '/', '/etc//x', '/etc/../x', '/etc/./x', '/bin/x', '/sbin/x', '/lib/x', '/lib64/x']) {
		t.is(texts('files', [{path, text: ''}]).length, 1, path);
	}

	for (const path of ['/etc/x', '/usr/bin/x', '/library/x', '/etc/.x']) {
		t.deepEqual(texts('files', [{path, text: ''}]), [], path);
	}
});

test('a file holds exactly one thing', (t) => {
	t.is(texts('files', [{path: '/x'}]).length, 1);
	t.is(texts('files', [{path: '/x', text: '', link: '/y'}]).length, 1);
	t.deepEqual(texts('files', [{path: '/x', keyPair: 'sa', part: 'public'}, {path: '/y', ssh: 'host-key'}, {path: '/z', certificate: {authority: 'k', commonName: 'a', usages: ['client']}}]), []);
});

test('a container image has exactly one source, and a tag', (t) => {
	const recipe = {component: 'pause', programs: {pause: '/pause'}, entrypoint: ['/pause']};
	t.deepEqual(texts('images', [{reference: 'registry.k8s.io/pause:3.10', source: recipe}, {reference: 'localhost:5000/x:1', source: {docker: 'x'}}]), []);
	t.is(texts('images', [{reference: 'registry.k8s.io/pause', source: recipe}]).length, 1);
	t.is(texts('images', [{reference: 'x:1', source: {...recipe, file: '/x.tar'}}]).length, 1);
});

test('a version has no leading v', (t) => {
	t.deepEqual(texts('components', [{...component, version: 'v1.2.3'}]), ['`[0].version` must be a version without a leading v']);
});

test('units have their whole names', (t) => {
	t.deepEqual(texts('units', ['etcd.service', 'x.timer', 'serial-getty@ttyS0.service']), []);
	t.is(texts('units', ['etcd', '/x.service']).length, 2);
	t.deepEqual(texts('restartInForks', ['nginx.service', 'getty@tty-1.service', 'a\\x2db.socket']), []);
	t.is(texts('restartInForks', ['nginx', 'a;b.service']).length, 2);
});

test('an option\'s default is one of the values that it takes', (t) => {
	const problems = (option: object): string[] => problemsOf('overlay', {summary: 'x', options: {x: {summary: 'x', ...option}}}).map(({text}) => text);
	t.deepEqual(problems({default: 3, minimum: 0, maximum: 9, whole: true}), []);
	t.deepEqual(problems({default: 12, maximum: 9}), ['`options.x.default` must be a number of at most 9']);
	t.deepEqual(problems({default: 'v1', kind: 'version'}), ['`options.x.default` must be a version such as 1.2.3']);
	t.deepEqual(problems({default: 'slow', values: ['fast']}), ['`options.x.default` must be one of fast']);
	t.deepEqual(problems({default: 'a', pattern: {matches: '(', wanted: 'x'}}), ['`options.x.pattern.matches` must be a regular expression']);
});
