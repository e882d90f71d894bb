/** Scenarios can fail: each one's change turns it red at the step that it should, for the cause that it should. */
import test from 'ava';
import {benchFor} from '../rig/machines.ts';

const bench = benchFor(test);

for (const scenario of ['ipv4', 'dual-stack', 'ipv6-only', 'nat64', 'nat64@unbound']) {
	test.serial(`the change that ${scenario} declares turns it red where it should`, async (t) => {
		t.timeout(50 * 60_000);
		const outcome = await bench.run(['run', scenario, '--mutate']);
		t.is(outcome.code, 0, outcome.stderr);
		t.regex(outcome.stderr, /must fail: /);
		t.regex(outcome.stderr, /It failed as it must: /);
	});
}
