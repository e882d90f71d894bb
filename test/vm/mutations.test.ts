/** Scenarios can fail: the change that each declares turns it red. `test/long/mutations.test.ts` has the others. */
import test from 'ava';
import {benchFor} from '../rig/machines.ts';
import {testChange} from '../rig/red.ts';

const bench = benchFor(test);

for (const scenario of ['ipv4', 'router-on-a-stick']) {
	testChange(test, bench, scenario);
}
