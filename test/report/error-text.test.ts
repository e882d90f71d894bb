import test from 'ava';
import {renderError} from '../../lab/report/error-text.ts';
import {hostileText, machineBroke, pairFailed} from './recorded-run.ts';

test('An error says what failed, where, what was last seen, what to do next and where the log is', (t) => {
	t.is(renderError({...pairFailed, hint: 'Look at the routes.', log: '/labs/ipv4/log'}, {color: false, folder: '/project'}), [
		`✖ ${pairFailed.message}`,
		'  at scripts/steps/dial.ts:71:2',
		'  │ pod hello-b on node-1 -> pod hello-c on node-2: i/o timeout',
		'  │ called from podsReachEachOther, /project/scripts/steps/pod-network.ts:14:3',
		'  → Look at the routes.',
		'  log /labs/ipv4/log',
		'  [step-failed]',
	].join('\n'));
});

test('What is not known is left out', (t) => {
	t.is(renderError({code: 'x', kind: 'bug', message: 'no'}, {color: false}), '✖ no\n  [x]');
});

test('A place outside of the folder stays absolute', (t) => {
	t.true(renderError({...pairFailed, where: {file: '/elsewhere/a.ts', line: 3}}, {color: false, folder: '/project'}).includes('at /elsewhere/a.ts:3\n'));
});

test('Colours are escape sequences only when asked for', (t) => {
	t.false(renderError(machineBroke, {color: false}).includes('\u001B'));
	t.true(renderError(machineBroke, {color: true}).includes('\u001B[31m'));
});

test('What a machine said cannot steer the terminal', (t) => {
	const text = renderError({code: hostileText, kind: 'machine', message: hostileText, details: [hostileText], hint: hostileText, log: hostileText, where: {file: hostileText}}, {color: false});
	t.false(text.includes('\u001B'));
	t.is(text.split('\n').length, 6);
});
