import test from 'ava';
import type {OverlayDeclaration} from '../../lab/spec/overlay.ts';
import {overlay, planOf} from '../rig/overlay.ts';

/** An overlay whose option `mode` is late, and whose option `size` is not. */
function proxy(change: Partial<OverlayDeclaration<any>> = {}) {
	return overlay('proxy', {
		options: {
			mode: {default: 'a', summary: 'how', late: 'systemctl restart proxy.service'},
			size: {default: 1, summary: 'how much'},
		},
		roles: ['node'],
		kernel: ({options}) => (options.mode === 'c' ? {modules: ['ip_vs']} : {}),
		files: ({options}) => [{path: '/etc/proxy', text: `${options.mode} ${options.size}\n`}, {path: '/etc/other', text: 'other\n'}],
		ready: ({options}) => [{sentence: `it is ${options.mode}`, deadline: '1s', command: 'true'}],
		...change,
	});
}

test('a lab with every late option at its default is no change of another one', (t) => {
	t.is(planOf([proxy()]).change, undefined);
	t.is(planOf([proxy()], {}, {settings: ['proxy.size=2']}).change, undefined);
});

test('a lab with another value of a late option is a change of the lab with the default, by the files that differ', (t) => {
	const plan = planOf([proxy()], {}, {settings: ['proxy.mode=b', 'proxy.size=2']});
	const early = planOf([proxy()], {}, {settings: ['proxy.size=2']});
	t.is(plan.change?.early.key, early.key);
	t.not(plan.key, early.key);
	t.deepEqual(plan.change?.commands, ['systemctl restart proxy.service']);
	t.deepEqual(plan.change?.files, {'node-1': [{path: '/etc/proxy', text: 'b 2\n'}], 'node-2': [{path: '/etc/proxy', text: 'b 2\n'}], 'router-1': [], 'tester-1': []});
});

test('kernel modules of another value come along as the file that names them', (t) => {
	const {change} = planOf([proxy()], {}, {settings: ['proxy.mode=c']});
	t.true(change?.files['node-1']?.some((file) => file.path === '/etc/modules-load.d/vmlab.conf' && 'text' in file && file.text.includes('ip_vs')));
});

test('what needs more than files is booted, though the option says that it is late', (t) => {
	const settings = ['proxy.mode=b'];
	t.truthy(planOf([proxy()], {}, {settings}).change);
	t.is(planOf([proxy({units: ({options}) => [`${options['mode']}.service`]})], {}, {settings}).change, undefined);
	t.is(planOf([proxy({files: ({options}) => (options['mode'] === 'a' ? [{path: '/etc/gone', text: ''}] : [])})], {}, {settings}).change, undefined);
	t.is(planOf([proxy({files: ({options}) => [{path: '/etc/key', keyPair: String(options['mode']), part: 'private'}]})], {}, {settings}).change, undefined);
});

test('how the host reaches a lab and what it collects of it is not part of the lab', (t) => {
	const key = planOf([proxy()]).key;
	t.is(planOf([proxy({evidence: () => [{name: 'more.txt', command: 'true'}]})]).key, key);
	t.is(planOf([proxy({forwards: () => [{name: 'web', machine: 'node-1', port: 80}]})]).key, key);
	t.not(planOf([proxy({units: () => ['more.service']})]).key, key);
	t.is(planOf([proxy({restartInForks: () => ['more.service']})]).key, key, 'nor what is done in its forks');
	const restart = proxy({restartInForks: ({options}) => [`${options['mode']}.service`]});
	t.deepEqual(planOf([restart], {}, {settings: ['proxy.mode=b']}).change?.early.machines[0]?.restartInForks, ['a.service']);
});
