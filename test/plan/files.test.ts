import test from 'ava';
import {type Claim, kernelFiles, settle, treeClaims, treeProblems} from '../../lab/plan/files.ts';
import {overlay} from '../rig/overlay.ts';

const claim = (name: string, path: string, by: Claim['by'] = 'rootfs'): Claim => ({overlay: name, path, by});
const none = new Map<string, string[]>();

test('folders are nobody\'s, files and links are claimed', (t) => {
	t.deepEqual(treeClaims(overlay('a', {}, {'etc/a.conf': 'a', 'usr/bin/a': 'a'})).map(({path}) => path), ['/etc/a.conf', '/usr/bin/a']);
});

test('paths that differ do not collide', (t) => {
	const claims = [claim('a', '/etc/a'), claim('b', '/etc/b', 'file')];
	t.deepEqual(settle(claims, none), {claims, problems: []});
});

test('two overlays that write one path collide', (t) => {
	t.deepEqual(settle([claim('a', '/etc/x'), claim('b', '/etc/x', 'file')], none).problems, ['overlays `a` and `b` both write /etc/x']);
	t.deepEqual(settle([claim('a', '/usr/bin/x', 'program'), claim('b', '/usr/bin/x'), claim('c', '/usr/bin/x')], none).problems, ['overlays `a` and `b` and `c` all write /usr/bin/x']);
});

test('an overlay that says so replaces what another writes', (t) => {
	const replaces = new Map([['b', ['/etc/x']]]);
	t.deepEqual(settle([claim('a', '/etc/x'), claim('b', '/etc/x')], replaces), {claims: [claim('b', '/etc/x')], problems: []});
	t.deepEqual(settle([claim('a', '/etc/x', 'file'), claim('b', '/etc/x')], replaces).claims, [claim('b', '/etc/x')]);
});

test('two overlays that both replace a path collide', (t) => {
	const replaces = new Map([['a', ['/etc/x']], ['b', ['/etc/x']]]);
	t.is(settle([claim('a', '/etc/x'), claim('b', '/etc/x')], replaces).problems.length, 1);
});

test('a tree can only replace one that comes before it', (t) => {
	const replaces = new Map([['a', ['/etc/x']]]);
	t.deepEqual(settle([claim('a', '/etc/x'), claim('b', '/etc/x')], replaces).problems, ['overlay `a` replaces /etc/x, but `b` comes after it: let `a` need `b`']);
	t.deepEqual(settle([claim('a', '/etc/x', 'file'), claim('b', '/etc/x')], replaces).problems, [], 'a file for the machine is written over all layers');
});

test('one overlay that writes a path twice is told so', (t) => {
	t.deepEqual(settle([claim('a', '/etc/x'), claim('a', '/etc/x', 'file')], none).problems, ['overlay `a` writes /etc/x twice: as a file of its rootfs and as a file for the machine']);
});

test('a file of one overlay cannot be a folder of another', (t) => {
	t.deepEqual(settle([claim('a', '/etc/x'), claim('b', '/etc/x/y/z')], none).problems, ['/etc/x is a file of overlay `a`, and a folder of `b`, which writes /etc/x/y/z']);
});

test('a tree that is not usr-merged is refused', (t) => {
	t.deepEqual(treeProblems(overlay('a', {}, {'bin/x': '', 'sbin/y': '', 'lib/z': '', 'usr/bin/fine': ''})), [
		'overlay `a`: rootfs/bin would hide a link of the image; put it into rootfs/usr/bin',
		'overlay `a`: rootfs/sbin would hide a link of the image; put it into rootfs/usr/sbin',
		'overlay `a`: rootfs/lib would hide a link of the image; put it into rootfs/usr/lib',
	]);
	t.deepEqual(treeProblems(overlay('a', {}, {'usr/lib/x': '', 'etc/bin/y': ''})), []);
});

test('what overlays ask of the kernel is put together, sorted and once each', (t) => {
	const {files, problems} = kernelFiles([
		{overlay: 'a', kernel: {modules: ['vrf', 'dummy'], sysctls: {'net.ipv4.ip_forward': 1, 'a.b': 'x'}}},
		{overlay: 'b', kernel: {modules: ['dummy'], sysctls: {'net.ipv4.ip_forward': '1'}}},
	], none);
	t.deepEqual(problems, []);
	t.deepEqual(files, [
		{path: '/etc/modules-load.d/vmlab.conf', text: 'dummy\nvrf\n'},
		{path: '/etc/sysctl.d/90-vmlab.conf', text: 'a.b = x\nnet.ipv4.ip_forward = 1\n'},
	]);
	t.deepEqual(kernelFiles([], none).files, []);
});

test('a sysctl that two overlays set differently is refused, unless one replaces it', (t) => {
	const asked = [{overlay: 'a', kernel: {sysctls: {x: 1}}}, {overlay: 'b', kernel: {sysctls: {x: 2}}}];
	t.deepEqual(kernelFiles(asked, none).problems, ['overlays `a` and `b` set x to 1 and to 2']);
	for (const [winner, value] of [['a', 1], ['b', 2]] as const) {
		const {files, problems} = kernelFiles(asked, new Map([[winner, ['x']]]));
		t.deepEqual(problems, []);
		t.like(files[0], {text: `x = ${value}\n`});
	}
});
