/** What a lab may not leave behind: processes, sockets, locks, files. */
import {readdir, readFile, readlink} from 'node:fs/promises';
import path from 'node:path';
import {userInfo} from 'node:os';
import {labFolder} from '../../lab/host/folder.ts';

/** The processes whose command line or open lab folder names the lab: `PID COMMAND`. */
export async function processesOf(lab: string): Promise<string[]> {
	const found: string[] = [];
	const folder = labFolder(lab);
	for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
		if (Number(pid) === process.pid) {
			continue;
		}

		try {
			const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ').trim();
			const cwd = await readlink(`/proc/${pid}/cwd`);
			if (command.includes(`-name ${lab}/`) || command.includes(folder) || cwd.startsWith(folder)) {
				found.push(`${pid} ${command.slice(0, 200)}`);
			}
		} catch {
			// It ended while we looked.
		}
	}

	return found;
}

/** Everything of the lab that is still on this computer; empty after a clean end. */
export async function remainsOf(lab: string): Promise<string[]> {
	const files = async (folder: string): Promise<string[]> => (await readdir(folder).catch(() => [])).map((name) => path.join(folder, name));
	const sockets = (await readFile('/proc/net/unix', 'utf8')).split('\n').filter((line) => line.includes(`${labFolder(lab)}/`));
	return [...(await processesOf(lab)), ...(await files(labFolder(lab))), ...(await files(`/dev/shm/vmlab-${userInfo().uid}-${lab}`)), ...sockets];
}
