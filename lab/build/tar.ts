/** Writes tar archives that depend on nothing but their content: one time, one owner, the order that is given. */
import {createReadStream, createWriteStream} from 'node:fs';
import {stat} from 'node:fs/promises';
import {pipeline} from 'node:stream/promises';
import {pack as createPack, type Header, type Pack} from 'tar-stream';

/** What is in an archive, by its path there. */
export type TarEntry =
	| {readonly path: string; readonly text: string}
	| {readonly path: string; readonly file: string; readonly mode?: number}
	| {readonly path: string; readonly link: string}
	| {readonly path: string; readonly folder: true; readonly mode?: number};

/** The time of everything in archives and images that are made here, in milliseconds since 1970. */
export const archiveTime = 1_700_000_000_000;

/** Writes an archive; everything in it belongs to root. */
export async function writeTar(file: string, entries: readonly TarEntry[], signal: AbortSignal): Promise<void> {
	const pack = createPack();
	const fill = async (): Promise<void> => {
		try {
			for (const entry of entries) {
				await add(pack, entry);
			}

			pack.finalize();
		} catch (error) {
			pack.destroy(error as Error);
			throw error;
		}
	};

	await Promise.all([pipeline(pack, createWriteStream(file), {signal}), fill()]);
}

async function add(pack: Pack, entry: TarEntry): Promise<void> {
	const common: Partial<Header> & Pick<Header, 'name'> = {name: entry.path, mtime: new Date(archiveTime), uid: 0, gid: 0, uname: 'root', gname: 'root'};
	const put = async (headers: Partial<Header>, source?: string): Promise<void> => new Promise((resolve, reject) => {
		const done = (error?: Error | null): void => {
			if (error) {
				reject(error);
			} else {
				resolve();
			}
		};

		if (source === undefined) {
			pack.entry({...common, ...headers}, 'text' in entry ? entry.text : '', done);
		} else {
			createReadStream(source, {highWaterMark: 1024 * 1024}).on('error', reject).pipe(pack.entry({...common, ...headers}, done));
		}
	});
	if ('text' in entry) {
		await put({mode: 0o644});
	} else if ('link' in entry) {
		await put({type: 'symlink', linkname: entry.link, mode: 0o777});
	} else if ('folder' in entry) {
		await put({type: 'directory', mode: entry.mode ?? 0o755});
	} else {
		await put({mode: entry.mode ?? 0o644, size: (await stat(entry.file)).size}, entry.file);
	}
}
