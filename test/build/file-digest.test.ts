import {readdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {digestFiles} from '../../lab/build/file-digest.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';

/** With a cache folder of its own. */
async function withCache(use: (folder: string) => Promise<void>): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		process.env['VMLAB_CACHE_DIR'] = path.join(folder, 'cache');
		try {
			await use(folder);
		} finally {
			delete process.env['VMLAB_CACHE_DIR'];
		}
	});
}

test.serial('files have the digests of their content, before and after they change; one that is not there has none', async (t) => {
	await withCache(async (folder) => {
		const file = path.join(folder, 'program');
		const digests = new Set<string | undefined>();
		for (const text of ['one', 'another']) {
			await writeFile(file, text);
			const fresh = await digestFiles([file, path.join(folder, 'missing')]);
			t.deepEqual([...fresh.keys()], [file]);
			t.deepEqual(await digestFiles([file]), fresh, 'what is known is the same');
			digests.add(fresh.get(file));
		}

		t.is(digests.size, 2);
	});
});

test.serial('many who ask at once, in one process, get the same digest and leave one file', async (t) => {
	await withCache(async (folder) => {
		const file = path.join(folder, 'program');
		for (let round = 0; round < 5; round++) {
			await writeFile(file, `${round}`.repeat(100_000));
			const all = await Promise.all(Array.from({length: 8}, async () => digestFiles([file])));
			t.is(new Set(all.map((digests) => digests.get(file))).size, 1);
			t.deepEqual(await readdir(path.join(folder, 'cache')), ['file-digests.json']);
		}
	});
});
