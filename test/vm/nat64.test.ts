/** An IPv6-only cluster and a server that has IPv4 alone: one pair of translator and DNS64; `vmlab run --all` has the others. */
import path from 'node:path';
import test from 'ava';
import {readEvents} from '../rig/events-file.ts';
import {benchFor} from '../rig/machines.ts';

const bench = benchFor(test);

test.serial('the scenario nat64 passes with tayga and CoreDNS', async (t) => {
	t.timeout(50 * 60_000);
	const report = path.join(bench.folder, 'report');
	await bench.expect(t, 0, ['run', 'nat64', '--report', report]);
	const passed = (await readEvents(path.join(report, 'events.jsonl'))).flatMap((event) => (event.type === 'step' && event.reason === 'passed' ? [event.step] : []));
	for (const from of ['node-1', 'a pod on node-2']) {
		t.true(passed.includes(`400 new connections from ${from} are all answered`), passed.join('\n'));
	}
});
