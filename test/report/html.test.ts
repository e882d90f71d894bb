import test from 'ava';
import {htmlReport} from '../../lab/report/html.ts';
import {axisTicks} from '../../lab/report/timeline.ts';
import {brokenRun, failedRun, hostileRun, machineBroke, passedRun, start, unbuiltRun} from './recorded-run.ts';

test('The page says how it went, with each step, stage, machine and network', (t) => {
	const page = htmlReport(passedRun);
	for (const text of ['1 of 1 scenario passed', 'each pod reaches each other pod', 'from node-1', 'component etcd', '401 MiB', 'tester-1', '192.168.2.221/24', '1000::1:c0a8:100/120', '3 built in this run, 2 built before']) {
		t.true(page.includes(text), text);
	}
});

test('A step shows what it waited for and what it said, and notes of nobody\'s steps stand at the end', (t) => {
	const page = htmlReport(passedRun).replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ');
	t.regex(page, /✔ each pod reaches each other pod 4\.0 s ✔ from node-1 1\.9 s ✔ waited until hello-c answers 1\.5 s of 5 min Connections by pod: hello-a 98, hello-b 104 /);
	t.regex(page, /Notes ! KVM cannot be used here, so machines run under TCG: 7\.2 times slower/);
	t.is(page.split('Connections by pod').length, 2);
	t.regex(htmlReport(failedRun).replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' '), /✖ waited until pairs answer 19 s of 19 s; last seen: 2 of 12 are silent The pods are hello-a/);
});

test('A failed step has its error once, with its place and details', (t) => {
	const page = htmlReport(failedRun, {sources: '/project', folder: '/reports'});
	t.is(page.split('pod hello-a on node-1 -&gt; pod hello-c on node-2').length, 2);
	t.true(page.includes('<code>scripts/steps/dial.ts:71:2</code>'));
	t.true(page.includes('<a href="./evidence/ipv4">evidence/ipv4</a>'));
});

test('Of several scenarios the page begins with which failed and why, and with links to all; one alone needs no list', (t) => {
	const other = passedRun.map((event) => ({...event, ...('scenario' in event && {scenario: 'lan'}), at: event.at - 3_600_000}));
	const page = htmlReport([...other, ...failedRun]);
	const rows = [...(/<nav>.*?<\/nav>/s.exec(page)?.[0] ?? '').matchAll(/<tr class="(\w+)">.*?<a href="#([\w-]+)">(.*?)<\/a>.*?<td>([^<]*)<\/td><\/tr>/gs)].map((row) => row.slice(1));
	t.deepEqual(rows.map(([state, , name]) => [state, name]), [['failed', 'ipv4'], ['done', 'lan']]);
	t.regex(rows[0]![3]!, /each pod reaches each other pod/);
	for (const [, target] of rows) {
		t.true(page.includes(`<section id="${target}">`), target);
	}

	t.false(htmlReport(failedRun).includes('<nav>'));
});

test('Evidence elsewhere is told, but not linked', (t) => {
	t.true(htmlReport(failedRun, {folder: '/other'}).includes('<code>/reports/evidence/ipv4</code>'));
});

test('A machine that broke, and a run that never came to its scenario, say why', (t) => {
	t.true(htmlReport(brokenRun).includes('The machine node-2 broke'));
	const page = htmlReport(unbuiltRun);
	t.true(page.includes('Failed before any scenario ran'));
	t.true(page.includes('No provider has etcd 9.9.9'));
});

test('What was wrong on purpose with machines and links while a scenario ran stands in its time, each for as long as it lasted', (t) => {
	const lab = 'ipv4';
	const faults = ([
		[1, {type: 'link', reason: 'fault', lab, link: 'node-1@external', fault: 'cut'}],
		[2, {type: 'link', reason: 'fault', lab, link: 'node-2@external', fault: 'cut'}],
		[3, {type: 'link', reason: 'recovered', lab, link: 'node-2@external', fault: 'cut', seconds: 1}],
		[443, {type: 'link', reason: 'fault', lab, link: 'node-1@cluster', fault: 'to the machine: loss 5%'}],
		[444, {type: 'machine', reason: 'fault', lab, machine: 'node-2', fault: 'paused'}],
		[445, {type: 'link', reason: 'recovered', lab, link: 'node-1@cluster', fault: 'to the machine: loss 5%', seconds: 2}],
	] as const).map(([seconds, event]) => ({...event, at: start + seconds * 1000}));
	const page = htmlReport([...passedRun.filter(({at}) => at <= start + 445_500), ...faults].sort((one, other) => one.at - other.at));
	t.regex(page, /<title>node-1@cluster: to the machine: loss 5%: 2\.0 s<\/title>.*?<rect class="bar fault done"/s);
	t.regex(page, /<title>node-2: paused: [^<]*<\/title>.*?<rect class="bar fault running"/s);
	t.regex(page, /<title>node-1@external: cut: [^<]*<\/title>/, 'what began with the lab goes on');
	t.notRegex(page, /node-2@external: cut/, 'what was over before the scenario began');
});

test('A lab that never became ready shows how far its machines came', (t) => {
	const events = [
		...passedRun.filter(({at, type}) => at < start + 400_000 && type !== 'stage'),
		{type: 'lab', reason: 'failed', lab: 'ipv4', error: machineBroke, at: start + 400_000} as const,
	];
	const page = htmlReport(events);
	t.true(page.includes('✖ Lab ipv4'));
	t.true(page.includes('Machines of ipv4 over time'));
	t.is(page.split('The machine node-2 broke').length, 2);
});

test('Whatever machines said is text: no element and no attribute comes of it', (t) => {
	const page = htmlReport(hostileRun, {folder: '/'});
	t.false(/<script/i.test(page));
	t.false(page.includes('<b '));
	t.false(/href="javascript/i.test(page));
	t.false(page.includes('\u001B'));
	const attributes = [...page.matchAll(/<[a-z][^>]*>/gi)].map(([tag]) => tag.replaceAll(/"[^"]*"/g, '""'));
	t.deepEqual(attributes.filter((tag) => /\son\w+=|'/.test(tag)), []);
});

test('Nothing is loaded from anywhere, and scripts are forbidden', (t) => {
	const page = htmlReport(failedRun);
	t.true(page.includes('default-src \'none\''));
	t.deepEqual(page.match(/(src|href)="(?!\.\/|#)[^"]*"/g) ?? [], []);
	t.false(/url\(|@import/.test(page));
});

test('Every element that is opened is closed', (t) => {
	for (const run of [passedRun, failedRun, hostileRun, unbuiltRun, []]) {
		const open: string[] = [];
		for (const [, slash, name = '', rest = ''] of htmlReport(run).matchAll(/<(\/?)([a-z][a-z\d]*)((?:[^>"]|"[^"]*")*)>/gi)) {
			if (slash === '/') {
				t.is(open.pop(), name);
			} else if (!rest.endsWith('/') && name !== 'meta') {
				open.push(name);
			}
		}

		t.deepEqual(open, []);
	}
});

test('Two equal lists of events give one page', (t) => {
	t.is(htmlReport(failedRun, {folder: '/'}), htmlReport(structuredClone(failedRun), {folder: '/'}));
});

test('An axis has few ticks at round times', (t) => {
	t.deepEqual(axisTicks(47), [0, 10, 20, 30, 40]);
	t.deepEqual(axisTicks(470), [0, 60, 120, 180, 240, 300, 360, 420]);
	t.deepEqual(axisTicks(0.3), [0, 0.1, 0.2, 0.3]);
	t.true(axisTicks(100_000).length <= 9);
});
