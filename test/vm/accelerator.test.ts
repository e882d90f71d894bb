import {readdir, readFile, utimes, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {probeAccelerator} from '../../lab/machine/accelerator.ts';

test.serial('what guests run with is found out by running one, and kept', async (t) => {
	await withTemporaryFolder(async (folder) => {
		process.env['VMLAB_CACHE_DIR'] = folder;
		const probe = await probeAccelerator();
		t.true(probe.speed >= 1);
		if (probe.accelerator === 'tcg') {
			t.regex(probe.reason, /TCG.*since .*no security boundary/);
			t.true(probe.speed >= 8);
		} else {
			t.regex(probe.reason, /KVM/);
		}

		const files = (await readdir(folder)).filter((name) => name.endsWith('.json'));
		t.is(files.length, 1);
		t.deepEqual(await readdir(path.join(folder, 'scratch')), []);

		// What is kept is what is answered, until somebody wants to know it anew.
		const file = path.join(folder, files[0]!);
		const kept = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
		await writeFile(file, JSON.stringify({...kept, reason: 'it says so here'}));
		t.is((await probeAccelerator()).reason, 'it says so here');
		if (probe.accelerator === 'tcg') {
			const old = new Date(Date.now() - 25 * 3_600_000);
			await utimes(file, old, old);
		}

		t.is((await probeAccelerator({refresh: probe.accelerator === 'kvm'})).reason, probe.reason);

		// What cannot be read is as good as nothing.
		await writeFile(file, '{');
		t.is((await probeAccelerator()).reason, probe.reason);
	});
});
