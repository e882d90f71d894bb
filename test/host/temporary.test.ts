import {existsSync} from 'node:fs';
import {stat, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';

test('a temporary folder is private, and gone afterwards', async (t) => {
	let kept = '';
	await withTemporaryFolder(async (folder) => {
		kept = folder;
		t.is((await stat(folder)).mode & 0o777, 0o700);
		await writeFile(path.join(folder, 'file'), '');
	});
	t.false(existsSync(kept));
});

test('it is gone after a failure too', async (t) => {
	let kept = '';
	await t.throwsAsync(withTemporaryFolder(async (folder) => {
		kept = folder;
		throw new Error('on purpose');
	}), {message: 'on purpose'});
	t.false(existsSync(kept));
});
