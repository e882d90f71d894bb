/** The empty disk of a machine: what it writes goes here. */
import {open} from 'node:fs/promises';
import path from 'node:path';
import {run} from '../host/program.ts';
import type {StageRecipe} from '../plan/plan.ts';
import type {StageWork} from '../store/store.ts';
import {uuidOf} from './rootfs.ts';

/**
 * Makes disk.qcow2 in work.out: an ext4 filesystem, the same bytes for each size. Not a raw file, sparse as that would be: its
 * digest would be taken of gigabytes of zeroes.
 */
export async function makeDisk(recipe: Extract<StageRecipe, {kind: 'disk'}>, work: StageWork): Promise<void> {
	const file = path.join(work.scratch, 'disk.raw');
	const handle = await open(file, 'wx');
	try {
		await handle.truncate(recipe.size);
	} finally {
		await handle.close();
	}

	await run('mke2fs', [
		'-q', '-F', '-t', 'ext4', '-b', '4096', '-m', '0',
		// A journal of the least that writes well; checksums of metadata cost an emulated processor, and the disk is no real one.
		'-J', 'size=32', '-O', '^metadata_csum',
		// A fresh file reads as zeroes: nothing has to write them, neither now nor in the machine.
		'-E', `lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0,hash_seed=${uuidOf('hash seed')}`,
		'-U', uuidOf('disk'), '-L', 'vmlab', file,
	], {env: {E2FSPROGS_FAKE_TIME: '1704067200'}, signal: work.signal, log: work.log});
	await run('qemu-img', ['convert', '-q', '-f', 'raw', '-O', 'qcow2', file, path.join(work.out, 'disk.qcow2')], {signal: work.signal, log: work.log});
}
