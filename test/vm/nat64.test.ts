/** An IPv6-only cluster and a server that has IPv4 alone: two pairs of translator and DNS64, on one boot. `vmlab run --all` has the others. */
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {benchFor} from '../rig/machines.ts';

const bench = benchFor(test);

for (const scenario of ['nat64', 'nat64@jool-unbound']) {
	test.serial(`the scenario ${scenario} passes`, async (t) => {
		t.timeout(50 * 60_000);
		const report = path.join(bench.folder, scenario.replace('@', '-'));
		await bench.expect(t, 0, ['run', scenario, '--report', report]);
		const events = (await readFile(path.join(report, 'events.jsonl'), 'utf8')).trimEnd().split('\n').map((line) => JSON.parse(line) as {type: string; reason: string});
		// Whatever was booted for the first one, the others run on a fork or on a change of it.
		t.true(events.some(({type, reason}) => type === 'lab' && reason === 'forking'));
	});
}
