/** Files that are there whole or not at all. */
import {randomBytes} from 'node:crypto';
import {rename, rm, writeFile} from 'node:fs/promises';

/** Writes a file beside its place and renames it into it, so that whoever reads it sees the old text or the new. */
export async function writeFileWhole(file: string, text: string, mode: number): Promise<void> {
	const partial = `${file}.${randomBytes(4).toString('hex')}.partial`;
	try {
		await writeFile(partial, text, {mode, flag: 'wx', flush: true});
		await rename(partial, file);
	} catch (error) {
		await rm(partial, {force: true});
		throw error;
	}
}
