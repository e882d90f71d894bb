/** Blank disks: what a machine's own disk is a copy-on-write copy of. */
import {open} from 'node:fs/promises';
import path from 'node:path';
import {run} from '../host/program.ts';
import type {StageRecipe} from '../plan/plan.ts';
import type {StageWork} from '../store/store.ts';

/** One id for all, and for the hashes of its folders: the same size gives the same bytes. */
const filesystemId = '2f6c9a4e-0c1b-4f0e-8a57-3f3a5b1c7e02';

/**
 * Makes a disk's stage: disk.raw, sparse, with an empty ext4. Machines live for minutes: there is no reserved room, no
 * check by count or time; inode tables are holes, which read as the zeros that they are to hold, so the guest mounts it with
 * `noinit_itable` and writes none.
 *
 * @throws `program-failed`, `disk-full`, `interrupted`
 */
export async function makeDisk({size}: Extract<StageRecipe, {kind: 'disk'}>, work: StageWork): Promise<void> {
	const file = path.join(work.out, 'disk.raw');
	const handle = await open(file, 'wx');
	try {
		await handle.truncate(size);
	} finally {
		await handle.close();
	}

	await run('mke2fs', [
		'-q', '-F', '-t', 'ext4', '-L', 'vmlab', '-U', filesystemId, '-m', '0', '-J', 'size=16',
		'-E', `hash_seed=${filesystemId},lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0`,
		'-O', '^resize_inode', file,
	], {env: {E2FSPROGS_FAKE_TIME: '1700000000'}, log: work.log, signal: work.signal});
}
