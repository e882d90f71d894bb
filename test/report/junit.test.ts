import test from 'ava';
import {convert} from 'xmlbuilder2';
import {junitXml} from '../../lab/report/junit.ts';
import {brokenRun, failedRun, hostileRun, passedRun, unbuiltRun} from './recorded-run.ts';

function read(xml: string): any {
	return (convert(xml, {format: 'object'}) as any).testsuites;
}

test('A scenario is a testsuite, and each step a testcase', (t) => {
	const {testsuite, ...totals} = read(junitXml(passedRun));
	t.like(totals, {'@tests': '3', '@failures': '0', '@errors': '0'});
	t.like(testsuite, {'@name': 'ipv4', '@tests': '3', '@time': '6.000', '@timestamp': '2026-01-02T03:11:25Z'});
	t.deepEqual(testsuite.testcase.map((each: any) => each['@name']), ['all nodes are Ready', 'each pod reaches each other pod', 'each pod reaches each other pod / from node-1']);
});

test('What steps said is in the output of their suite', (t) => {
	t.regex(junitXml(passedRun), /<system-out>each pod reaches each other pod: Connections by pod: hello-a 98, hello-b 104<\/system-out>/);
});

test('A claim that failed is a failure, with the whole error as its text', (t) => {
	const {testsuite} = read(junitXml(failedRun));
	t.like(testsuite, {'@failures': '1', '@errors': '0'});
	t.regex(testsuite.testcase[1].failure['#'], /pod hello-b on node-1 -(>|&gt;) pod hello-c on node-2/);
	t.regex(testsuite['system-out'], /evidence: \/reports\/evidence\/ipv4/);
});

test('A machine that broke is an error', (t) => {
	const {testsuite} = read(junitXml(brokenRun));
	t.like(testsuite, {'@failures': '0', '@errors': '1'});
	t.is(testsuite.testcase[1].error['@type'], 'machine-broke');
});

test('A run that never came to its scenario has a failed testcase', (t) => {
	const suites = read(junitXml(unbuiltRun));
	t.is(suites['@errors'], '1');
	t.is(suites.testsuite.testcase['@name'], 'stage component etcd');
});

test('A scenario that failed outside of its steps, or never ended, has a failed testcase', (t) => {
	const outside = junitXml([
		{type: 'scenario', reason: 'started', scenario: 's', summary: '', lab: 'l', at: 1},
		{type: 'scenario', reason: 'failed', scenario: 's', seconds: 1, error: {code: 'no-steps', kind: 'scenario', message: 'no steps'}, at: 2},
	]);
	t.is(read(outside).testsuite.testcase['@name'], 'scenario s');
	const cut = read(junitXml(passedRun.slice(0, passedRun.findIndex((event) => event.type === 'scenario') + 2)));
	t.is(cut['@errors'], '1');
});

test('Whatever machines said, the XML is well-formed and has only characters that XML allows', (t) => {
	const xml = junitXml(hostileRun);
	// XML 1.0, production 2 (Char).
	t.notRegex(xml, /[^\u0009\u000A\u000D\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u);
	t.is(read(xml)['@tests'], '1');
});

test('Without events there is an empty report', (t) => {
	t.is(read(junitXml([]))['@tests'], '0');
});
