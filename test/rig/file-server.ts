/** A web server on the loopback, for downloads that go well and downloads that do not. */
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http';
import {once} from 'node:events';
import type {AddressInfo} from 'node:net';

/** A path's content: bytes that are served as they should be (ranges too), or what a test does itself. */
export type Served = string | Buffer | ((request: IncomingMessage, response: ServerResponse) => void);

/** Serves the paths; everything else is 404. `asked` has each request, in order: `GET /path`, with its range. */
export async function withFileServer<Value>(files: Readonly<Record<string, Served>>, use: (server: {url: string; asked: string[]}) => Promise<Value>): Promise<Value> {
	const asked: string[] = [];
	const server = createServer((request, response) => {
		const {range} = request.headers;
		asked.push(`${request.method} ${request.url}${range === undefined ? '' : ` ${range}`}`);
		const served = files[request.url ?? ''];
		if (typeof served === 'function') {
			served(request, response);
			return;
		}

		if (served === undefined) {
			response.writeHead(404).end('not here');
			return;
		}

		serveBytes(Buffer.from(served), range, response);
	});
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	try {
		return await use({url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked});
	} finally {
		server.closeAllConnections();
		server.close();
	}
}

/** Answers a request for bytes, from the start of the range where there is one (RFC 9110, 14). */
export function serveBytes(bytes: Buffer, range: string | undefined, response: ServerResponse): void {
	const start = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
	response.writeHead(range === undefined ? 200 : 206, {
		'content-length': bytes.length - start, 'accept-ranges': 'bytes',
		...(range !== undefined && {'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}`}),
	});
	response.end(bytes.subarray(start));
}
