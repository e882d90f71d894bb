import {open, readFile, stat, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {until} from '../../lab/host/wait.ts';
import {cutPartOf, limitLogs} from '../../lab/runtime/console-limit.ts';
import {tailOf} from '../../lab/runtime/console-tail.ts';

test('a log that is flooded stays within bounds, its end is kept, and what is written afterwards is at its beginning', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const [flooded, quiet] = [path.join(folder, 'flooded'), path.join(folder, 'quiet')];
		await writeFile(quiet, 'a few words\n');
		// As QEMU has it: open for appending, all the time.
		const log = await open(flooded, 'a');
		const over = new AbortController();
		const limited = limitLogs([flooded, quiet, path.join(folder, 'missing')], {limit: 1000, interval: 10, signal: over.signal});
		for (const round of ['one', 'two']) {
			await log.write(`${'x'.repeat(2000)} ${round}\n`);
			await until('it is cut', async () => ((await stat(flooded)).size === 0 ? {met: true, value: undefined} : {met: false, seen: 'all of it'}), {deadline: 10_000, interval: 20});
			t.true((await readFile(cutPartOf(flooded), 'utf8')).endsWith(` ${round}\n`));
		}

		await log.write('afterwards\n');
		over.abort();
		await limited;
		t.is(await readFile(flooded, 'utf8'), 'afterwards\n');
		t.is(await readFile(quiet, 'utf8'), 'a few words\n');
		await t.throwsAsync(stat(cutPartOf(quiet)), {code: 'ENOENT'});
		await log.close();
	});
});

test('a log that was cut since is read from its beginning', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const log = path.join(folder, 'log');
		await writeFile(log, 'old\nnew\n');
		t.deepEqual(await tailOf(log, 10, 4), ['new']);
		await writeFile(log, 'new\n');
		t.deepEqual(await tailOf(log, 10, 100), ['new']);
	});
});

test('the end of a log that was just cut is that of both its parts', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const log = path.join(folder, 'log');
		await writeFile(cutPartOf(log), 'one\ntwo\n');
		await writeFile(log, 'three\n');
		t.deepEqual(await tailOf(log, 2), ['two', 'three']);
		t.deepEqual(await tailOf(log, 9, 2), ['ree']);
	});
});
