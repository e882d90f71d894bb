import test from 'ava';
import {parseSetting, resolveOptions, type Setting} from '../../lab/plan/options.ts';
import type {OptionValue} from '../../lab/spec/topology.ts';
import {overlay} from '../rig/overlay.ts';

const {manifest} = overlay('etcd', {
	options: {
		version: {default: '3.6.5', summary: 'version'},
		port: {default: 2379, summary: 'port'},
		tls: {default: true, summary: 'TLS'},
		mode: {default: 'fast', values: ['fast', 'slow'], summary: 'mode'},
	},
});

function resolve(declared: Record<string, OptionValue>, ...settings: string[]): ReturnType<typeof resolveOptions> {
	return resolveOptions('etcd', manifest, declared, settings.map(parseSetting));
}

test('a setting is overlay, option and value', (t) => {
	t.deepEqual(parseSetting('etcd.version=3.6.5'), {overlay: 'etcd', option: 'version', value: '3.6.5'} satisfies Setting);
	t.deepEqual(parseSetting('kubernetes.dir=/a=b/c.d'), {overlay: 'kubernetes', option: 'dir', value: '/a=b/c.d'} satisfies Setting);
	t.is(parseSetting('etcd.name=').value, '');
	for (const wrong of ['etcd', 'etcd.version', 'version=3', '.x=3', 'etcd.=3']) {
		t.throws(() => parseSetting(wrong), {code: 'usage'}, wrong);
	}
});

test('defaults hold where nobody says anything', (t) => {
	t.deepEqual(resolve({}), {options: {version: '3.6.5', port: 2379, tls: true, mode: 'fast'}, problems: []});
});

test('the lab wins over the default, and the command line over the lab', (t) => {
	const {options} = resolve({version: '3.5.0', port: 1}, 'etcd.version=3.4.0', 'etcd.version=3.3.0', 'other.version=1');
	t.like(options, {version: '3.3.0', port: 1});
});

test('a setting has the type of the default', (t) => {
	t.like(resolve({}, 'etcd.port=1234', 'etcd.tls=false', 'etcd.version=3').options, {port: 1234, tls: false, version: '3'});
});

test('a value of another type is refused', (t) => {
	t.deepEqual(resolve({}, 'etcd.port=many', 'etcd.tls=1', 'etcd.port=').problems, [
		'--set etcd.port: `many` is not a number, as `etcd.port` must be',
		'--set etcd.tls: `1` is not true or false, as `etcd.tls` must be',
		'--set etcd.port: `` is not a number, as `etcd.port` must be',
	]);
	t.deepEqual(resolve({version: 3}).problems, ['the lab\'s options: `3` is not a text, as `etcd.version` must be']);
});

test('a value that is not among the few allowed is refused', (t) => {
	t.deepEqual(resolve({mode: 'slow'}, 'etcd.mode=quick').problems, ['--set etcd.mode: `etcd.mode` must be one of fast, slow, not `quick`']);
});

test('an unknown option is refused, with the one that was likely meant', (t) => {
	t.deepEqual(resolve({}, 'etcd.verison=3', 'etcd.zebra=1').problems, [
		'--set etcd.verison: overlay `etcd` has no option `verison`; did you mean `version`? (it has mode, port, tls, version)',
		'--set etcd.zebra: overlay `etcd` has no option `zebra`; it has mode, port, tls, version',
	]);
	t.deepEqual(resolveOptions('x', overlay('x').manifest, {a: 1}, []).problems, ['the lab\'s options: overlay `x` has no option `a`; it has none']);
});

const ruled = overlay('ruled', {
	options: {
		version: {default: '1.36.3', kind: 'version', values: ['debian'], summary: 'version'},
		dir: {default: '', kind: 'folder', summary: 'folder'},
		level: {default: 0, minimum: 0, maximum: 10, whole: true, summary: 'level'},
		least: {default: 0.5, minimum: 0, summary: 'at least'},
		domain: {default: 'cluster.local', pattern: {matches: '[a-z.]+|[0-9]+', wanted: 'a domain'}, summary: 'domain'},
	},
}).manifest;

const ruledBy = (...settings: string[]): ReturnType<typeof resolveOptions> => resolveOptions('ruled', ruled, {}, settings.map(parseSetting));

test('a version loses its leading v, and what is none is refused', (t) => {
	t.is(ruledBy('ruled.version=v1.35.4').options['version'], '1.35.4');
	t.is(ruledBy('ruled.version=1.37.0-rc.1').options['version'], '1.37.0-rc.1');
	t.is(ruledBy('ruled.version=debian').options['version'], 'debian');
	for (const wrong of ['abc', '1.36', 'vv1.2.3', '', 'v']) {
		t.deepEqual(ruledBy(`ruled.version=${wrong}`).problems, [`--set ruled.version: \`ruled.version\` must be a version such as 1.36.3, or debian, not \`${wrong}\``]);
	}
});

test('a number outside of its range is refused, with the range', (t) => {
	t.like(ruledBy('ruled.level=10', 'ruled.least=1e9'), {options: {level: 10, least: 1e9}, problems: []});
	t.deepEqual(ruledBy('ruled.level=99', 'ruled.level=-1', 'ruled.level=1.5', 'ruled.least=-1').problems, [
		'--set ruled.level: `ruled.level` must be a whole number from 0 to 10, not `99`',
		'--set ruled.level: `ruled.level` must be a whole number from 0 to 10, not `-1`',
		'--set ruled.level: `ruled.level` must be a whole number from 0 to 10, not `1.5`',
		'--set ruled.least: `ruled.least` must be a number of at least 0, not `-1`',
	]);
});

test('a pattern holds for the whole text, and a folder is absolute', (t) => {
	t.deepEqual(ruledBy('ruled.domain=example.org', 'ruled.domain=12', 'ruled.dir=/a').problems, []);
	t.deepEqual(ruledBy('ruled.domain=a1', 'ruled.dir=a').problems, [
		'--set ruled.domain: `ruled.domain` must be a domain, not `a1`',
		'--set ruled.dir: `ruled.dir` must be the absolute path of a folder, not `a`',
	]);
});
