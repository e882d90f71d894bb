import {writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {whileUnchanged} from '../../lab/host/unchanged.ts';

test('a file is looked at again only when it has changed', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const file = path.join(folder, 'file');
		let looks = 0;
		const look = whileUnchanged(async () => ++looks);
		await writeFile(file, 'a');
		t.deepEqual([await look(file), await look(file)], [1, 1]);
		await writeFile(file, 'ab');
		t.is(await look(file), 2);
	});
});

test('a look that failed is not remembered', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const file = path.join(folder, 'file');
		await writeFile(file, 'a');
		let fails = true;
		const look = whileUnchanged(async () => {
			if (fails) {
				throw new Error('not now');
			}

			return 'seen';
		});
		await t.throwsAsync(look(file), {message: 'not now'});
		fails = false;
		t.is(await look(file), 'seen');
	});
});
