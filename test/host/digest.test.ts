import {chmod, mkdir, symlink, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {digestFile, digestOf, digestTree} from '../../lab/host/digest.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';

test('equal values have one digest, whatever the order of their keys', (t) => {
	t.is(digestOf({a: 1, b: [{c: 2, d: 3}]}), digestOf({b: [{d: 3, c: 2}], a: 1}));
	t.is(digestOf({a: undefined}), digestOf({}));
	t.not(digestOf([1, 2]), digestOf([2, 1]));
	t.not(digestOf('1'), digestOf(1));
	t.not(digestOf(null), digestOf(undefined));
	t.regex(digestOf({}), /^[\da-f]{64}$/);
});

test('the digest of a file is that of sha256sum', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const file = path.join(folder, 'file');
		await writeFile(file, 'abc');
		t.is(await digestFile(file), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
	});
});

test('a tree is its files, folders and links, with their modes', async (t) => {
	await withTemporaryFolder(async (folder) => {
		await mkdir(path.join(folder, 'b'), {mode: 0o755});
		await writeFile(path.join(folder, 'b/two'), 'abc');
		await chmod(path.join(folder, 'b/two'), 0o4755);
		await symlink('b/two', path.join(folder, 'a'));
		t.deepEqual((await digestTree(folder)).map(({path: file, kind, mode}) => [file, kind, mode]), [
			['a', 'link', 0o777],
			['b', 'folder', 0o755],
			['b/two', 'file', 0o4755],
		]);
	});
});

test('a tree that is not there is empty', async (t) => {
	t.deepEqual(await digestTree('/no/such/folder'), []);
});
