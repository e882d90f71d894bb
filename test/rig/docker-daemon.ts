/** A Docker daemon of a test: its images, and pulls that work, fail or never end. */
import {once} from 'node:events';
import {mkdir} from 'node:fs/promises';
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http';
import path from 'node:path';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';

/** A daemon that has the given images (reference -> id), and pulls those that it is told to be able to. */
export class FakeDaemon {
	readonly images: Map<string, string>;
	readonly pullable: Map<string, string>;
	readonly asked: string[] = [];
	/** Where it is there, a pull begins and never ends, and this is called. */
	onStuckPull: (() => void) | undefined;
	/** Where it is there, a pull that has begun ends with this. */
	pullError: string | undefined;
	/** Resolves when a stuck pull was given up by who asked for it. */
	readonly cutOff: Promise<void>;
	#cut = (): void => {};

	constructor(images: Readonly<Record<string, string>> = {}, pullable: Readonly<Record<string, string>> = {}) {
		this.images = new Map(Object.entries(images));
		this.pullable = new Map(Object.entries(pullable));
		this.cutOff = new Promise((resolve) => {
			this.#cut = resolve;
		});
	}

	/** Answers as Docker's Engine API does (docs.docker.com, Engine API: images). */
	answer(request: IncomingMessage, response: ServerResponse): void {
		const url = new URL(request.url ?? '', 'http://docker');
		this.asked.push(`${request.method} ${url.pathname}`);
		const [, name = '', action] = /^\/images\/(.+)\/(json|get)$/.exec(decodeURIComponent(url.pathname)) ?? [];
		const id = this.images.get(name);
		if (url.pathname === '/containers/json') {
			response.writeHead(200, {'content-type': 'application/json'}).end('[]');
		} else if (url.pathname === '/images/create') {
			if (this.onStuckPull !== undefined || this.pullError !== undefined) {
				response.writeHead(200, {'content-type': 'application/json'}).write(`${JSON.stringify({status: 'Pulling'})}\n`);
				if (this.onStuckPull === undefined) {
					response.end(`${JSON.stringify({error: this.pullError})}\n`);
				} else {
					response.once('close', this.#cut);
					this.onStuckPull();
				}

				return;
			}

			const pulled = `${url.searchParams.get('fromImage')}:${url.searchParams.get('tag')}`;
			const found = this.pullable.get(pulled);
			if (found === undefined) {
				response.writeHead(404, {'content-type': 'application/json'}).end(JSON.stringify({message: `pull access denied for ${pulled}`}));
				return;
			}

			this.images.set(pulled, found);
			response.writeHead(200, {'content-type': 'application/json'}).end(`${JSON.stringify({status: 'Pulling'})}\n`);
		} else if (id === undefined) {
			response.writeHead(404, {'content-type': 'application/json'}).end(JSON.stringify({message: `No such image: ${name}`}));
		} else if (action === 'json') {
			response.writeHead(200, {'content-type': 'application/json'}).end(JSON.stringify({Id: id}));
		} else {
			response.writeHead(200, {'content-type': 'application/x-tar'}).end(`the bytes of ${id}`);
		}
	}
}

/** Runs with a daemon at DOCKER_HOST and a cache of its own; `stop` ends the daemon before the end. */
export async function withDaemon(daemon: FakeDaemon, use: (context: {folder: string; stop: () => Promise<void>}) => Promise<void>): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		const socket = path.join(folder, 'docker.sock');
		const server = createServer((request, response) => {
			daemon.answer(request, response);
		}).listen(socket);
		await once(server, 'listening');
		const stop = async (): Promise<void> => {
			if (server.listening) {
				server.closeAllConnections();
				server.close();
				await once(server, 'close');
			}
		};

		process.env['DOCKER_HOST'] = `unix://${socket}`;
		process.env['VMLAB_CACHE_DIR'] = path.join(folder, 'cache');
		await mkdir(path.join(folder, 'cache'));
		try {
			await use({folder, stop});
		} finally {
			await stop();
		}
	});
}
