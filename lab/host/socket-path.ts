/**
 * Paths of unix sockets. The kernel takes no more than 107 bytes (sun_path, unix(7)), and a lab's folder may be deeper than
 * that; a path through the descriptor of its folder is always short.
 */
import {open} from 'node:fs/promises';
import path from 'node:path';

const longestPath = 107;

/** A way to a socket file that is short enough. Valid until `release` is called. */
export interface SocketPath {
	readonly path: string;
	release(): Promise<void>;
}

/**
 * A path by which connect() and bind() take the file. Servers release it only after they closed: they remove the file by
 * the same path.
 *
 * @throws the system's error when the file's folder is not there
 */
export async function socketPath(file: string): Promise<SocketPath> {
	if (Buffer.byteLength(file) <= longestPath) {
		return {path: file, release: async () => {}};
	}

	const folder = await open(path.dirname(file), 'r');
	return {path: `/proc/self/fd/${folder.fd}/${path.basename(file)}`, release: async () => folder.close()};
}
