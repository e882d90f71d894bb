import {mkdtemp, readdir, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import {jsonLine} from '../../lab/report/jsonl.ts';
import {writeReports} from '../../lab/report/write-reports.ts';
import {readEvents} from '../rig/events-file.ts';
import {failedRun, hostileRun} from './recorded-run.ts';

test('All reports are written, and the events can be read back', async (t) => {
	const folder = await mkdtemp(path.join(tmpdir(), 'vmlab-test-'));
	t.teardown(async () => rm(folder, {recursive: true}));
	await writeReports(path.join(folder, 'deep/er'), hostileRun);
	t.deepEqual((await readdir(path.join(folder, 'deep/er'))).sort(), ['events.jsonl', 'junit.xml', 'report.html']);
	t.deepEqual(await readEvents(path.join(folder, 'deep/er/events.jsonl')), hostileRun.map((event) => ({...event})));
});

test('Each event is one line', (t) => {
	t.is(failedRun.map((event) => jsonLine(event)).join('').split('\n').length, failedRun.length + 1);
});
