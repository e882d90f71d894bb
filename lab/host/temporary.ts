/** Temporary folders, removed whatever happens. */
import {mkdir} from 'node:fs/promises';
import {rm} from 'node:fs/promises';
import tmp from 'tmp';

// What the process leaves when it exits in the middle is removed by tmp's own exit hook.
tmp.setGracefulCleanup();

/**
 * Gives a fresh private folder (0700) to `use`, and removes it with all its content afterwards.
 * `parent` puts it on a filesystem of choice; it is created where it is missing.
 */
export async function withTemporaryFolder<Value>(use: (folder: string) => Promise<Value>, options: {parent?: string} = {}): Promise<Value> {
	if (options.parent !== undefined) {
		await mkdir(options.parent, {recursive: true});
	}

	const folder = tmp.dirSync({prefix: 'vmlab', mode: 0o700, unsafeCleanup: true, ...(options.parent === undefined ? {} : {tmpdir: options.parent})});
	try {
		return await use(folder.name);
	} finally {
		await rm(folder.name, {recursive: true, force: true});
	}
}
