/** Labs of routers and VLANs: packets take the way that the topology gives them. `vmlab run --all` runs the others. */
import test from 'ava';
import {benchFor} from '../rig/machines.ts';

const bench = benchFor(test);

for (const scenario of ['router-on-a-stick', 'diamond']) {
	test.serial(`all steps of ${scenario} pass`, async (t) => {
		t.timeout(20 * 60_000);
		await bench.expect(t, 0, ['run', scenario]);
	});
}
