/** Machines whose kernels have no random numbers at boot: what that costs, and that forks of them differ all the same. */
import path from 'node:path';
import test from 'ava';
import {readEvents} from '../rig/events-file.ts';
import {benchFor} from '../rig/machines.ts';

const bench = benchFor(test);
const long = 30 * 60_000;

test.serial('the scenario random passes', async (t) => {
	t.timeout(long);
	const report = path.join(bench.folder, 'report');
	await bench.expect(t, 0, ['run', 'random', '--report', report]);
	const steps = (await readEvents(path.join(report, 'events.jsonl'))).flatMap((event) => (event.type === 'step' && event.reason === 'passed' ? [event.step] : []));
	t.true(steps.some((step) => step.includes('getrandom(2) waits')), steps.join('; '));
});

test.serial('forks of a machine without sources of random numbers make different ones', async (t) => {
	t.timeout(long);
	const names = ['one', 'two'];
	const seen: string[][] = [];
	for (const name of names) {
		await bench.expect(t, 0, ['up', 'random', '--name', name]);
		t.is((await bench.expect(t, 0, ['exec', name, 'starved-1', '--', 'cat', '/sys/class/misc/hw_random/rng_current'])).trim(), 'none');
		seen.push((await bench.expect(t, 0, ['exec', name, 'starved-1', '--', 'sh', '-c', 'for i in $(seq 20); do read -r uuid </proc/sys/kernel/random/uuid; echo $uuid; done'])).trim().split('\n'));
		await bench.expect(t, 0, ['down', name]);
	}

	const [one, two] = seen as [string[], string[]];
	t.deepEqual([one.length, two.length], [20, 20]);
	t.deepEqual(one.filter((uuid) => two.includes(uuid)), []);
});
