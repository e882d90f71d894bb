/** Scenarios that must fail. */
import type {ExecutionContext, TestFn} from 'ava';
import type {Bench} from './machines.ts';

/** Tests that the change that a scenario declares turns it red at the step that it should, for the cause that it should. */
export function testChange(test: TestFn<any>, bench: Bench, scenario: string): void {
	test.serial(`the change that ${scenario} declares turns it red where it should`, async (t: ExecutionContext<any>) => {
		t.timeout(50 * 60_000);
		const outcome = await bench.run(['run', scenario, '--mutate']);
		t.is(outcome.code, 0, outcome.stderr);
		t.regex(outcome.stderr, /must fail: /);
		t.regex(outcome.stderr, /It failed as it must: /);
	});
}
