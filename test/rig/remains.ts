/** What a lab may not leave behind: processes, sockets, locks, files. */
import {readdir, readFile, readlink} from 'node:fs/promises';
import path from 'node:path';
import {memoryFolderOf} from '../../lab/runtime/memory.ts';

/** A lab as the tests know it: its name, and the state folder that it is in. */
export interface LabPlace {
	readonly name: string;
	/** VMLAB_STATE_DIR of the commands that deal with it. */
	readonly state: string;
}

function folderOf({name, state}: LabPlace): string {
	return path.join(state, 'labs', name);
}

/** The processes whose command line names the lab, or that work in its folder: `PID COMMAND`. */
export async function processesOf(lab: LabPlace): Promise<string[]> {
	const found: string[] = [];
	const folder = folderOf(lab);
	for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
		if (Number(pid) === process.pid) {
			continue;
		}

		try {
			const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ').trim();
			const cwd = await readlink(`/proc/${pid}/cwd`);
			if (command.includes(folder) || cwd.startsWith(folder)) {
				found.push(`${pid} ${command.slice(0, 200)}`);
			}
		} catch {
			// It ended while we looked.
		}
	}

	return found;
}

/** Everything of the lab that is still on this computer; empty after a clean end. */
export async function remainsOf(lab: LabPlace): Promise<string[]> {
	const folder = folderOf(lab);
	const files = async (place: string): Promise<string[]> => (await readdir(place).catch(() => [])).map((name) => path.join(place, name));
	const sockets = (await readFile('/proc/net/unix', 'utf8')).split('\n').filter((line) => line.includes(`${folder}/`));
	return [...(await processesOf(lab)), ...(await files(folder)), ...(await files(memoryFolderOf(folder))), ...sockets];
}
