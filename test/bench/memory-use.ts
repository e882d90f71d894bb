/** Memory and disk that labs take: from proc(5) and stat(2). */
import {readdir, readFile, stat} from 'node:fs/promises';
import path from 'node:path';

/** What a process has mapped of one file, or of none: bytes. */
interface Mapped {
	/** The file's path, or '' for memory without one. */
	readonly file: string;
	readonly rss: number;
	/** Its share of what several have mapped. */
	readonly pss: number;
	/** What nobody else has: it would be free again if the process ended. */
	readonly own: number;
}

/** Reads the mappings of a process. */
export async function readMappings(pid: number): Promise<Mapped[]> {
	const mappings: Array<{file: string; rss: number; pss: number; own: number}> = [];
	for (const line of (await readFile(`/proc/${pid}/smaps`, 'utf8')).split('\n')) {
		const header = /^[\da-f]+-[\da-f]+ \S+ \S+ \S+ \d+\s*(.*)$/.exec(line);
		const size = /^(Rss|Pss|Private_Clean|Private_Dirty):\s+(\d+) kB$/.exec(line);
		if (header !== null) {
			mappings.push({file: header[1]!.replace(/ \(deleted\)$/, ''), rss: 0, pss: 0, own: 0});
		} else if (size !== null) {
			const key = size[1] === 'Rss' ? 'rss' : size[1] === 'Pss' ? 'pss' : 'own';
			mappings.at(-1)![key] += Number(size[2]) * 1024;
		}
	}

	return mappings;
}

/** Bytes that processes have to themselves, without the layers: these are in memory once for all labs, and one lab alone must not seem to own them. */
export async function ownMemory(pids: readonly number[]): Promise<number> {
	const all = await Promise.all(pids.map(readMappings));
	return all.flat().filter(({file}) => !file.endsWith('.erofs')).reduce((sum, {own}) => sum + own, 0);
}

/** Bytes that a file, or all files below a folder, take on the disk. */
export async function diskUse(place: string): Promise<number> {
	const status = await stat(place);
	const below = status.isDirectory() ? await Promise.all((await readdir(place)).map(async (name) => diskUse(path.join(place, name)))) : [];
	return below.reduce((sum, bytes) => sum + bytes, status.blocks * 512);
}
