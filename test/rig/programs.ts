/** Stand-ins for programs of the host. */
import {chmod, mkdir, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';

/** Programs in front of PATH that write down how they are called: name -> script of sh, which runs in a folder of its own. */
export async function withPrograms(programs: Readonly<Record<string, string>>, use: (log: () => Promise<string[]>) => Promise<void>): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		const bin = path.join(folder, 'bin');
		await mkdir(bin);
		for (const [name, script] of Object.entries(programs)) {
			await writeFile(path.join(bin, name), `#!/bin/sh\ncd ${folder}\necho "${name} $*" >>log\n${script}\n`);
			await chmod(path.join(bin, name), 0o755);
		}

		const before = process.env['PATH'];
		process.env['PATH'] = `${bin}:${before ?? ''}`;
		try {
			await use(async () => (await readFile(path.join(folder, 'log'), 'utf8').catch(() => '')).trim().split('\n'));
		} finally {
			process.env['PATH'] = before;
		}
	});
}
