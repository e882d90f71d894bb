/** Scenarios can fail: the change that each declares turns it red at the step that it should, for the cause that it should. `vmlab run NAME --mutate` does it for the others. */
import test from 'ava';
import {benchFor} from '../rig/machines.ts';

const bench = benchFor(test);

for (const scenario of ['ipv4', 'ipv6-only']) {
	test.serial(`the change that ${scenario} declares turns it red where it should`, async (t) => {
		t.timeout(50 * 60_000);
		const outcome = await bench.run(['run', scenario, '--mutate']);
		t.is(outcome.code, 0, outcome.stderr);
		t.regex(outcome.stderr, /must fail: /);
		t.regex(outcome.stderr, /It failed as it must: /);
	});
}
