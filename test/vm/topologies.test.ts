/** Labs of routers and VLANs: packets take the way that the topology gives them, and a cut link turns the scenario red. `vmlab run --all` runs the others. */
import test from 'ava';
import {benchFor} from '../rig/machines.ts';

const bench = benchFor(test);

for (const scenario of ['router-on-a-stick', 'diamond']) {
	test.serial(`all steps of ${scenario} pass`, async (t) => {
		t.timeout(20 * 60_000);
		await bench.expect(t, 0, ['run', scenario]);
	});
}

test.serial('a link that is cut on the only path of multi-hop turns it red where it should', async (t) => {
	t.timeout(20 * 60_000);
	const outcome = await bench.run(['run', 'multi-hop', '--mutate']);
	t.is(outcome.code, 0, outcome.stderr);
	t.regex(outcome.stderr, /It failed as it must: /);
});
