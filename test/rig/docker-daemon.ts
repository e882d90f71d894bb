/** A Docker daemon of a test: its images, pulls that work, fail or never end, and containers that say something and go on until they are removed. */
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
	/** What each container says when it is attached to. */
	output = '';
	/** The containers that there are, and what is to be done at the end of each. */
	readonly containers = new Map<string, Array<() => void>>();
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

	/** Answers as Docker's Engine API does (docs.docker.com, Engine API: images, containers). */
	answer(request: IncomingMessage, response: ServerResponse): void {
		const url = new URL(request.url ?? '', 'http://docker');
		this.asked.push(`${request.method} ${url.pathname}`);
		const [, name = '', action] = /^\/images\/(.+)\/(json|get)$/.exec(decodeURIComponent(url.pathname)) ?? [];
		const id = this.images.get(name);
		if (url.pathname.startsWith('/containers/')) {
			this.#answerOfContainers(request, url.pathname.slice('/containers/'.length), response);
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

	#answerOfContainers(request: IncomingMessage, what: string, response: ServerResponse): void {
		const [id = '', action] = what.split('/');
		const endings = this.containers.get(id) ?? [];
		if (what === 'json') {
			response.writeHead(200, {'content-type': 'application/json'}).end(JSON.stringify([...this.containers.keys()].map((Id) => ({Id}))));
		} else if (what === 'create') {
			const made = `container-${this.asked.length}`;
			this.containers.set(made, []);
			response.writeHead(201, {'content-type': 'application/json'}).end(JSON.stringify({Id: made}));
		} else if (action === 'archive') {
			request.resume().once('end', () => response.writeHead(200).end());
		} else if (action === 'attach') {
			// Engine API, ContainerAttach: a header of eight bytes before each piece, 1 for stdout and its length.
			const header = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
			header.writeUInt32BE(Buffer.byteLength(this.output), 4);
			response.writeHead(200, {'content-type': 'application/vnd.docker.raw-stream'}).write(Buffer.concat([header, Buffer.from(this.output)]));
			endings.push(() => response.end());
		} else if (action === 'wait') {
			endings.push(() => response.writeHead(200, {'content-type': 'application/json'}).end('{"StatusCode":137}'));
		} else {
			if (request.method === 'DELETE') {
				this.containers.delete(id);
				for (const end of endings) {
					end();
				}
			}

			response.writeHead(204).end();
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
