/** The serial console of a machine, while it runs. Everything that comes over it is also in its log. */
import {once} from 'node:events';
import {createConnection, type Socket} from 'node:net';
import {socketPath} from '../host/socket-path.ts';

/**
 * Connects to the console's unix socket: what is written is typed, what is read is the guest's, escapes and all. QEMU
 * serves one connection at a time; another waits until the first has ended.
 *
 * @throws the system's error when no machine listens there (ENOENT, ECONNREFUSED)
 */
export async function connectConsole(socket: string): Promise<Socket> {
	const short = await socketPath(socket);
	try {
		const connection = createConnection(short.path);
		await once(connection, 'connect');
		return connection;
	} finally {
		await short.release();
	}
}
