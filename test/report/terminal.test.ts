import {Chalk} from 'chalk';
import test from 'ava';
import type {LabEvent, TimedEvent} from '../../lab/event/event.ts';
import {foldEvents} from '../../lab/report/history.ts';
import {hasColor, isLive, liveView, terminalReport, type ReportStream} from '../../lab/report/terminal.ts';
import {brokenRun, failedRun, hostileRun, passedRun, start} from './recorded-run.ts';

/** What a report writes of a run. */
function show(run: readonly TimedEvent[], terminal: Partial<ReportStream> = {}, environment: Record<string, string> = {}): string {
	let text = '';
	let moment = start;
	const stream = {
		...terminal,
		write(written: string) {
			text += written;
		},
	};
	const report = terminalReport({stream, environment, now: () => moment});
	for (const {at, ...event} of run) {
		moment = at;
		report.sink(event as LabEvent);
	}

	report.close();
	return text;
}

/** What is on a terminal after a text: only what the report uses is understood. */
function screen(text: string): string[] {
	const lines = [''];
	for (const part of text.split(/(\u001B\[\d*[FJ]|\n)/)) {
		const up = /^\u001B\[(\d+)F$/.exec(part);
		if (up !== null) {
			lines.splice(lines.length - 1 - Number(up[1]), Infinity, '');
		} else if (part === '\n') {
			lines.push('');
		} else if (part !== '\u001B[J') {
			lines[lines.length - 1] += part;
		}
	}

	return lines;
}

test('Without a terminal there are plain lines, and no escape sequence', (t) => {
	const text = show(passedRun);
	t.false(text.includes('\u001B'));
	const lines = text.split('\n');
	for (const line of ['✔ 2 stages were built before', '… component etcd', '✔ component kubernetes 5 min 12 s, 401 MiB', '  ✔ node-1 is ready 2 min 1 s', '✔ lab ipv4 is ready 2 min 2 s', '  ✔ each pod reaches each other pod 4.0 s', '    ✔ from node-1 1.9 s', '✔ ipv4 passed 6.0 s', '✔ lab ipv4 is down']) {
		t.true(lines.includes(line), line);
	}
});

test('A scenario that failed shows its error in full', (t) => {
	const text = show(failedRun);
	t.true(text.includes('  ✖ each pod reaches each other pod 20 s\n'));
	t.true(text.includes('  │ pod hello-b on node-1 -> pod hello-c on node-2: i/o timeout\n'));
	t.true(text.includes('evidence: /reports/evidence/ipv4 (34 files)'));
});

test('A machine that ends though nobody stopped its lab is told', (t) => {
	t.true(show(brokenRun).includes('  ✖ node-2 ended: signal SIGBUS'));
	t.false(show(passedRun).includes('node-1 ended'));
});

test('On a terminal what is done stays, and what goes on is gone at the end', (t) => {
	const lines = screen(show(passedRun, {isTTY: true, columns: 100, rows: 40}, {NO_COLOR: '1'}));
	t.deepEqual(lines.filter((line) => line.includes('…')), []);
	t.true(lines.includes('✔ component etcd 20 s, 42.9 MiB'));
	t.is(lines.filter((line) => line.includes('node-2')).length, 2);
});

test('What goes on is shown with its time, cut to the width of the terminal', (t) => {
	const history = foldEvents(passedRun.filter(({at}) => at < start + 400_000));
	const lines = liveView(history, start + 400_000, new Chalk({level: 0}), 60);
	t.deepEqual(lines, ['… lab ipv4 1 min 22 s', '  … node-1 1 min 22 s  getting ready', '  … node-2 1 min 22 s  getting ready', '  … until node-1 is Ready 1 min  of 10 min 50 s']);
	t.true(liveView(foldEvents(hostileRun.slice(0, 5)), start, new Chalk({level: 0}), 30).every((line) => [...line].length <= 30));
});

test('What machines said cannot steer the terminal', (t) => {
	t.false(show(hostileRun).includes('\u001B'));
	const sequences = show(hostileRun, {isTTY: true, columns: 80, rows: 24}, {NO_COLOR: '1'}).match(/\u001B.{0,4}/g) ?? [];
	t.deepEqual(sequences.filter((sequence) => !/^\u001B\[\d*[FJ]/.test(sequence)), []);
});

test('NO_COLOR, CI and TERM=dumb are honoured', (t) => {
	const stream: ReportStream = {isTTY: true, write() {}};
	t.true(isLive(stream, {TERM: 'xterm'}));
	t.false(isLive(stream, {TERM: 'dumb'}));
	t.false(isLive(stream, {CI: 'true'}));
	t.false(isLive({write() {}}, {}));
	t.true(hasColor(stream, {TERM: 'xterm'}));
	t.false(hasColor(stream, {NO_COLOR: '1'}));
	t.false(hasColor(stream, {TERM: 'dumb'}));
	t.false(hasColor({write() {}}, {}));
});

/** What a report writes of events, as lines. */
function linesOf(...events: LabEvent[]): string[] {
	return show(events.map((event): TimedEvent => ({...event, at: start}))).trimEnd().split('\n');
}

test('What is always so is said once in a run; what steps note is said as often as they do', (t) => {
	const always: LabEvent = {type: 'note', level: 'info', text: 'no KVM', once: true};
	const note: LabEvent = {type: 'note', level: 'info', text: 'evenly'};
	t.deepEqual(linesOf(always, note, always, note), ['i no KVM', 'i evenly', 'i evenly']);
});

test('What is wrong with a link on purpose is told as what is wrong with a machine', (t) => {
	const text = show([
		{type: 'link', reason: 'fault', lab: 'one', link: 'node-1@cluster', fault: 'cut', at: start},
		{type: 'machine', reason: 'fault', lab: 'one', machine: 'node-1', fault: 'paused', at: start},
		{type: 'link', reason: 'recovered', lab: 'one', link: 'node-1@cluster', fault: 'cut', seconds: 2, at: start + 2000},
	]);
	t.is(text, '  ! node-1@cluster: cut\n  ! node-1: paused\n  ✔ node-1@cluster: no longer cut 2.0 s\n');
});

test('Lines about machines and steps say of which lab and scenario they are when there are several at a time', (t) => {
	const ready = (lab: string): LabEvent => ({type: 'machine', reason: 'ready', lab, machine: 'node-1', seconds: 1});
	const step = (scenario: string): LabEvent => ({type: 'step', reason: 'started', scenario, step: 'ping'});
	t.deepEqual(linesOf(
		{type: 'lab', reason: 'booting', lab: 'a'}, ready('a'), {type: 'lab', reason: 'booting', lab: 'b'}, ready('b'), ready('a'),
		{type: 'scenario', reason: 'started', scenario: 'a', summary: 'A', lab: 'a'}, step('a'), {type: 'scenario', reason: 'started', scenario: 'b', summary: 'B', lab: 'b'}, step('b'),
		{type: 'scenario', reason: 'passed', scenario: 'a', seconds: 1}, {type: 'step', reason: 'passed', scenario: 'b', step: 'ping', seconds: 1},
	), [
		'… lab a: booting', '  ✔ node-1 is ready 1.0 s', '… lab b: booting', '  ✔ b/node-1 is ready 1.0 s', '  ✔ a/node-1 is ready 1.0 s',
		'', 'a A', '  … ping', '', 'b B', '  … b: ping', '✔ a passed 1.0 s', '  ✔ b: ping 1.0 s',
	]);
});

test('A fork is not told as powered on, and is told as a fork', (t) => {
	t.deepEqual(linesOf(
		{type: 'lab', reason: 'forking', lab: 'a'}, {type: 'machine', reason: 'started', lab: 'a', machine: 'node-1', pid: 1}, {type: 'lab', reason: 'ready', lab: 'a', seconds: 1},
		{type: 'lab', reason: 'freezing', lab: 'a'}, {type: 'lab', reason: 'frozen', lab: 'a', seconds: 0.0341},
	), [
		'… lab a: forking the frozen lab', '✔ lab a is ready 1.0 s, forked from the frozen lab', '… lab a: freezing', '✔ lab a is frozen; it stood still for 35 ms, and goes on',
	]);
});

test('A terminal without room for a live part gets the plain lines, beginnings among them', (t) => {
	for (const size of [{columns: 0, rows: 0}, {columns: 0, rows: 24}, {columns: 80, rows: 2}]) {
		t.false(isLive({isTTY: true, ...size, write() {}}, {}));
		t.true(show(passedRun, {isTTY: true, ...size}, {NO_COLOR: '1'}).split('\n').includes('… component etcd'), JSON.stringify(size));
	}

	t.true(isLive({isTTY: true, columns: 80, rows: 24, write() {}}, {}));
});

test('Plain lines tell a long wait every half minute, with what is seen; a terminal shows it all the time', (t) => {
	const wait = {type: 'wait', sentence: 'pods are ready'} as const;
	const seen = (seconds: number): TimedEvent => ({...wait, reason: 'unmet', seconds, last: `${seconds} of 50`, at: start + seconds * 1000});
	const run: TimedEvent[] = [{...wait, reason: 'started', deadline: 300, at: start}, ...[10, 20, 30, 40, 50].map(seen)];
	t.deepEqual(show(run).split('\n'), ['  … pods are ready? 10 s of 5 min: 10 of 50', '  … pods are ready? 40 s of 5 min: 40 of 50', '']);
	t.regex(liveView(foldEvents(run), start + 55_000, new Chalk({level: 0}), 80).join('\n'), /until pods are ready 55 s  of 5 min: 50 of 50/);
});
