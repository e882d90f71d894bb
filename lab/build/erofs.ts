/** Read-only filesystem images for layers (EROFS, kernel documentation filesystems/erofs.rst). */
import {stat, truncate} from 'node:fs/promises';
import {run} from '../host/program.ts';

/** What virtio-pmem wants an image's size to be a multiple of, in bytes. */
const granule = 2 * 1024 ** 2;

/**
 * Makes an image of a tree: everything owned by root and from 1970, nothing compressed and no file's end beside its inode, so
 * that machines map files as they are. The same tree gives the same bytes.
 */
export async function makeErofs(tree: string, file: string, uuid: string, options: {signal: AbortSignal; log: string}): Promise<void> {
	// Without extended attributes: those of the host's files (SELinux labels) are none of the machine's.
	await run('mkfs.erofs', ['--quiet', '-x-1', '-T0', '-U', uuid, '-E', 'noinline_data', '--all-root', file, tree], options);
	await padLayer(file);
}

/** Makes an image as long as virtio-pmem wants it. */
export async function padLayer(file: string): Promise<void> {
	await truncate(file, Math.ceil((await stat(file)).size / granule) * granule);
}
