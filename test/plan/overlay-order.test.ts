import test from 'ava';
import {orderOverlays, type OverlayNode} from '../../lab/plan/overlay-order.ts';

const node = (name: string, needs: string[] = [], provides: string[] = []): OverlayNode => ({name, needs, provides});
const order = (listed: string[], nodes: OverlayNode[], known = nodes.map(({name}) => name)): ReturnType<typeof orderOverlays> => orderOverlays(listed, nodes, known);

test('each overlay comes after what it needs', (t) => {
	const nodes = [node('base'), node('etcd', ['base']), node('containerd', ['base'], ['cri']), node('kubernetes', ['etcd', 'cri'])];
	t.deepEqual(order(['kubernetes', 'containerd', 'etcd', 'base'], nodes), {names: ['base', 'containerd', 'etcd', 'kubernetes'], providers: {cri: 'containerd'}});
});

test('the order of the list does not count', (t) => {
	const nodes = [node('a'), node('b', ['d']), node('c'), node('d')];
	t.deepEqual(order(['a', 'b', 'c', 'd'], nodes), order(['d', 'c', 'b', 'a'], [...nodes].reverse()));
	t.deepEqual(order(['a', 'b', 'c', 'd'], nodes).names, ['a', 'd', 'b', 'c']);
});

test('an overlay that is needed by name is added', (t) => {
	t.deepEqual(order(['kubernetes'], [node('base'), node('etcd', ['base']), node('kubernetes', ['etcd']), node('unused')]).names, ['base', 'etcd', 'kubernetes']);
});

test('an unknown overlay is refused, with the known ones', (t) => {
	const error = t.throws(() => order(['kubernets'], [node('kubernetes'), node('base')]), {code: 'unknown-overlay', message: 'There is no overlay `kubernets`'});
	t.like(error, {exitCode: 3, hint: 'Did you mean `kubernetes`? Known: kubernetes and base.'});
});

test('a capability that nobody provides is refused, with who would', (t) => {
	const nodes = [node('kubernetes', ['cri']), node('containerd', [], ['cri']), node('crio', [], ['cri'])];
	const error = t.throws(() => order(['kubernetes'], nodes), {code: 'capability-missing', message: /`kubernetes` needs `cri`/});
	t.like(error, {exitCode: 3, hint: 'Add an overlay that does to the lab: containerd and crio.'});
	t.throws(() => order(['a'], [node('a', ['nothing'])]), {code: 'capability-missing'});
});

test('two providers of one capability are refused', (t) => {
	const nodes = [node('containerd', [], ['cri']), node('crio', [], ['cri'])];
	t.throws(() => order(['containerd', 'crio'], nodes), {code: 'capability-twice', message: /containerd and crio all provide `cri`/});
});

test('a cycle is refused, with the way around', (t) => {
	const error = t.throws(() => order(['start'], [node('start', ['a']), node('a', ['b']), node('b', ['a'])]), {code: 'overlay-cycle'});
	t.is(error?.message, 'Overlays need each other in a circle: a -> b -> a');
	t.throws(() => order(['a'], [node('a', ['a'])]), {message: /a -> a$/});
});

test('a cycle through a capability is one too', (t) => {
	t.throws(() => order(['a', 'b'], [node('a', ['cap']), node('b', ['a'], ['cap'])]), {code: 'overlay-cycle', message: /a -> b -> a$/});
});
