import {mkdir, stat} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {makeDisk} from '../../lab/build/disk.ts';
import {digestFile} from '../../lab/host/digest.ts';
import {run} from '../../lab/host/program.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';

const mebibyte = 1024 ** 2;

async function made(size: number, look: (file: string) => Promise<void> = async () => {}): Promise<string> {
	return withTemporaryFolder(async (folder) => {
		const [out, scratch] = [path.join(folder, 'out'), path.join(folder, 'scratch')];
		await Promise.all([mkdir(out), mkdir(scratch)]);
		await makeDisk({kind: 'disk', size}, {key: 'test', out, scratch, signal: new AbortController().signal, progress() {}, log: path.join(folder, 'log')});
		await look(path.join(out, 'disk.qcow2'));
		return digestFile(path.join(out, 'disk.qcow2'));
	});
}

test('a disk is an ext4 filesystem of its size that takes next to no room', async t => {
	await made(4096 * mebibyte, async (file) => {
		t.true((await stat(file)).size < 8 * mebibyte);
		const raw = `${file}.raw`;
		await run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', file, raw]);
		t.is((await stat(raw)).size, 4096 * mebibyte);
		await t.notThrowsAsync(run('e2fsck', ['-f', '-n', raw]));
	});
});

test('two disks of one size are the same, byte for byte', async t => {
	t.is(await made(256 * mebibyte), await made(256 * mebibyte));
});
