/** The end of a file that may be long, and may grow. */
import {open} from 'node:fs/promises';

/**
 * The text at the end of a file; empty where there is no such file.
 *
 * @param most bytes that are read at most
 * @param from the byte that nothing before is read of; a file that is shorter was cut since, and all of it is newer
 */
export async function readEnd(file: string, most: number, from = 0): Promise<string> {
	const handle = await open(file, 'r').catch(() => undefined);
	if (handle === undefined) {
		return '';
	}

	try {
		const {size} = await handle.stat();
		const start = Math.max(from > size ? 0 : from, size - most);
		const buffer = Buffer.alloc(Math.max(0, size - start));
		const {bytesRead} = await handle.read(buffer, 0, buffer.length, start);
		return buffer.toString('utf8', 0, bytesRead);
	} finally {
		await handle.close();
	}
}
