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
		t.throws(() => parseSetting(wrong), {code: 'bad-value'}, wrong);
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
