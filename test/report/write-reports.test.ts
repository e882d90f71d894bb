import {mkdtemp, readdir, readFile, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import {jsonLine, parseJsonLines} from '../../lab/report/jsonl.ts';
import {writeReports} from '../../lab/report/write-reports.ts';
import {failedRun, hostileRun} from './recorded-run.ts';

test('All reports are written, and the events can be read back', async (t) => {
	const folder = await mkdtemp(path.join(tmpdir(), 'vmlab-test-'));
	t.teardown(async () => rm(folder, {recursive: true}));
	await writeReports(path.join(folder, 'deep/er'), hostileRun);
	t.deepEqual((await readdir(path.join(folder, 'deep/er'))).sort(), ['events.jsonl', 'junit.xml', 'report.html']);
	t.deepEqual(parseJsonLines(await readFile(path.join(folder, 'deep/er/events.jsonl'), 'utf8')), hostileRun.map((event) => ({...event})));
});

test('A last line that was cut off is left out', (t) => {
	const text = failedRun.map((event) => jsonLine(event)).join('');
	t.is(parseJsonLines(text.slice(0, -10)).length, failedRun.length - 1);
	t.is(text.split('\n').length, failedRun.length + 1);
});
