/** A cluster without any IPv4: its scenario passes, and the counts that say so are those of a network that was busy. */
import path from 'node:path';
import test from 'ava';
import {readEvents} from '../rig/events-file.ts';
import {benchFor} from '../rig/machines.ts';

const bench = benchFor(test);

test.serial('the scenario ipv6-only passes, its reboot of all machines included', async (t) => {
	t.timeout(50 * 60_000);
	const report = path.join(bench.folder, 'report');
	await bench.expect(t, 0, ['run', 'ipv6-only', '--report', report]);
	const events = await readEvents(path.join(report, 'events.jsonl'));
	const passed = events.flatMap((event) => (event.type === 'step' && event.reason === 'passed' ? [event.step] : []));
	t.true(passed.includes('400 new connections from tester-1 over the router to http://[1000::2]:5001/hostname are all answered, evenly by all pods'), passed.join('\n'));
	t.true(passed.includes('the networks have carried not one frame of IPv4 or ARP since the lab was booted'));
	const [, frames] = /cluster (\d+)/.exec(events.flatMap((event) => (event.type === 'note' && event.text.startsWith('Frames of IPv6') ? [event.text] : [])).join()) ?? [];
	t.true(Number(frames) > 1000, `the cluster's network carried ${frames} frames`);
});
