import {writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {readEnd} from '../../lab/host/file-end.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';

test('the end of a file is read, and nothing before a place', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const file = path.join(folder, 'log');
		await writeFile(file, 'one\ntwo\nthree\n');
		t.is(await readEnd(file, 100), 'one\ntwo\nthree\n');
		t.is(await readEnd(file, 4), 'ree\n');
		t.is(await readEnd(file, 100, 8), 'three\n');
		t.is(await readEnd(file, 2, 8), 'e\n');
		// It was longer once.
		t.is(await readEnd(file, 100, 1000), 'one\ntwo\nthree\n');
		t.is(await readEnd(path.join(folder, 'missing'), 100), '');
	});
});
