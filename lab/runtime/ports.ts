/** Ports of 127.0.0.1 for machines to answer on. */
import {once} from 'node:events';
import {createServer, type Server} from 'node:net';

async function listen(port: number): Promise<Server | undefined> {
	const server = createServer();
	server.listen({port, host: '127.0.0.1', exclusive: true});
	try {
		await once(server, 'listening');
		return server;
	} catch (error) {
		if (['EADDRINUSE', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) {
			return undefined;
		}

		throw error;
	}
}

/**
 * As many ports as are wanted, all different, free a moment ago: the wanted ones where they are free, others where not or
 * where any will do (undefined). Whoever binds them must be ready to be told that one is taken after all.
 */
export async function findPorts(wanted: ReadonlyArray<number | undefined>): Promise<number[]> {
	const servers: Server[] = [];
	try {
		const ports: number[] = [];
		for (const port of wanted) {
			const server = (port === undefined ? undefined : await listen(port)) ?? await listen(0);
			if (server === undefined) {
				throw new Error('this computer has no free port');
			}

			servers.push(server);
			const address = server.address();
			ports.push(typeof address === 'object' && address !== null ? address.port : 0);
		}

		return ports;
	} finally {
		// All at once at the end: a port that were closed earlier could be given out twice.
		await Promise.all(servers.map(async (server) => {
			server.close();
			await once(server, 'close');
		}));
	}
}
