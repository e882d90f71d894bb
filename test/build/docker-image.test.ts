import {once} from 'node:events';
import {mkdir, readFile, writeFile} from 'node:fs/promises';
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http';
import path from 'node:path';
import test from 'ava';
import {imageId, saveImage} from '../../lab/build/docker-image.ts';
import {failure} from '../../lab/host/failure.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';

const reference = 'registry.example.org/tools/server:1.0';
const working = new AbortController().signal;

/** A daemon that has the given images (reference -> id), and pulls those that it is told to be able to. */
class FakeDaemon {
	readonly images: Map<string, string>;
	readonly pullable: Map<string, string>;
	readonly asked: string[] = [];

	constructor(images: Readonly<Record<string, string>> = {}, pullable: Readonly<Record<string, string>> = {}) {
		this.images = new Map(Object.entries(images));
		this.pullable = new Map(Object.entries(pullable));
	}

	/** Answers as Docker's Engine API does (docs.docker.com, Engine API: images). */
	answer(request: IncomingMessage, response: ServerResponse): void {
		const url = new URL(request.url ?? '', 'http://docker');
		this.asked.push(`${request.method} ${url.pathname}`);
		const [, name = '', action] = /^\/images\/(.+)\/(json|get)$/.exec(decodeURIComponent(url.pathname)) ?? [];
		const id = this.images.get(name);
		if (url.pathname === '/images/create') {
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
async function withDaemon(daemon: FakeDaemon, use: (context: {folder: string; stop: () => Promise<void>}) => Promise<void>): Promise<void> {
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

test.serial('an image that the daemon has is saved', async (t) => {
	const daemon = new FakeDaemon({[reference]: 'sha256:one'});
	await withDaemon(daemon, async ({folder}) => {
		const said: string[] = [];
		await saveImage(reference, path.join(folder, 'saved'), {signal: working, progress: (text) => said.push(text)});
		t.is(await readFile(path.join(folder, 'saved'), 'utf8'), 'the bytes of sha256:one');
		t.deepEqual(said, [`docker save ${reference}`]);
		t.false(daemon.asked.some((line) => line.startsWith('POST')));
	});
});

test.serial('an image that the daemon does not have is pulled first', async (t) => {
	await withDaemon(new FakeDaemon({}, {[reference]: 'sha256:two'}), async ({folder}) => {
		const said: string[] = [];
		await saveImage(reference, path.join(folder, 'saved'), {signal: working, progress: (text) => said.push(text)});
		t.is(await readFile(path.join(folder, 'saved'), 'utf8'), 'the bytes of sha256:two');
		t.deepEqual(said, [`docker pull ${reference}`, `docker save ${reference}`]);
	});
});

test.serial('an image that cannot be pulled is missing, with the daemon\'s words', async (t) => {
	await withDaemon(new FakeDaemon(), async ({folder}) => {
		await t.throwsAsync(saveImage(reference, path.join(folder, 'saved'), {signal: working, progress() {}}), {code: 'container-image-missing', message: /cannot pull it: .*pull access denied/});
	});
});

test.serial('an interruption while saving is told as one', async (t) => {
	await withDaemon(new FakeDaemon({[reference]: 'sha256:one'}), async ({folder}) => {
		const controller = new AbortController();
		const saving = saveImage(reference, path.join(folder, 'saved'), {
			signal: controller.signal,
			progress() {
				controller.abort(failure.interrupted('SIGINT'));
			},
		});
		await t.throwsAsync(saving, {code: 'interrupted'});
	});
});

test.serial('the id of an image is the daemon\'s; the last known one where none answers', async (t) => {
	const daemon = new FakeDaemon({[reference]: 'sha256:one'});
	await withDaemon(daemon, async ({folder, stop}) => {
		t.is(await imageId('never/seen:1'), undefined);
		t.is(await imageId(reference), 'sha256:one');
		daemon.images.set(reference, 'sha256:moved');
		t.is(await imageId(reference), 'sha256:moved');
		daemon.images.clear();
		t.is(await imageId(reference), 'sha256:moved', 'removed from the daemon, but perhaps still in the store');
		await stop();
		t.is(await imageId(reference), 'sha256:moved');
		await writeFile(path.join(folder, 'cache/docker-images.json'), 'no JSON');
		t.is(await imageId(reference), undefined);
	});
});
