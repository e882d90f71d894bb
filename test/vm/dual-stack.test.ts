/** Both families at once, and another mode of kube-proxy, on a lab that was changed for it and not booted. */
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {benchFor} from '../rig/machines.ts';

const bench = benchFor(test);

test.serial('the scenario dual-stack passes with kube-proxy in the mode ipvs, on a change of the frozen lab', async (t) => {
	t.timeout(50 * 60_000);
	const report = path.join(bench.folder, 'report');
	await bench.expect(t, 0, ['run', 'dual-stack', '--set', 'kubernetes.proxyMode=ipvs', '--report', report, '--keep']);
	const events = (await readFile(path.join(report, 'events.jsonl'), 'utf8')).trimEnd().split('\n').map((line) => JSON.parse(line) as {type: string; reason: string; step?: string; lab?: string});
	t.true(events.some(({type, reason, lab}) => type === 'lab' && reason === 'forking' && lab === 'dual-stack'));
	t.is(events.filter(({type, reason, step = ''}) => type === 'step' && reason === 'passed' && step.startsWith('400 new connections')).length, 2);
});

test.serial('kube-proxy is in the mode ipvs on all nodes, and has left no rules of the mode before', async (t) => {
	for (const node of ['node-1', 'node-2']) {
		t.is((await bench.expect(t, 0, ['exec', 'dual-stack', node, '--', 'curl', '-s', '127.0.0.1:10249/proxyMode'])).trim(), 'ipvs');
		t.regex(await bench.expect(t, 0, ['exec', 'dual-stack', node, '--', 'ipvsadm', '-Ln']), /12\.0\.0\.10:53 rr/);
		await bench.expect(t, 1, ['exec', 'dual-stack', node, '--', 'nft', 'list', 'table', 'ip', 'kube-proxy']);
	}
});
