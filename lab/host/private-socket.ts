/** Unix sockets that listen for this user alone. */
import {once} from 'node:events';
import {chmodSync} from 'node:fs';
import type {Server} from 'node:net';
import {socketPath} from './socket-path.ts';

/**
 * Has a server listen at a file, with mode 0600, however long the file's path is. Who is not this user cannot connect before that mode is set
 * either where the file's folder is private (0700). The server removes the file when it is closed (net.Server).
 *
 * @returns what must be called when the server has been closed
 * @throws the system's error when the socket cannot be made; nothing listens then
 */
export async function listenPrivately(server: Server, file: string): Promise<() => Promise<void>> {
	const place = await socketPath(file);
	try {
		server.listen(place.path);
		await once(server, 'listening');
		chmodSync(file, 0o600);
	} catch (error) {
		server.close();
		await place.release();
		throw error;
	}

	return async () => place.release();
}
