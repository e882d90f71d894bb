import {once} from 'node:events';
import {mkdir, mkdtemp, rm, stat} from 'node:fs/promises';
import {createConnection, createServer} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import test from 'ava';
import {listenPrivately} from '../../lab/host/private-socket.ts';
import {socketPath} from '../../lab/host/socket-path.ts';

test('a socket is for its user alone, whatever the length of its path, and its file goes with its server', async (t) => {
	const folder = await mkdtemp(path.join(tmpdir(), 'private-socket-'));
	try {
		const deep = path.join(folder, 'a'.repeat(100), 'b'.repeat(100));
		await mkdir(deep, {recursive: true});
		for (const file of [path.join(folder, 'short.sock'), path.join(deep, 'long.sock')]) {
			const server = createServer((socket) => socket.end('here'));
			const release = await listenPrivately(server, file);
			t.is((await stat(file)).mode & 0o777, 0o600);
			const place = await socketPath(file);
			const [answer] = await once(createConnection(place.path), 'data') as [Buffer];
			t.is(answer.toString(), 'here');
			await place.release();
			server.close();
			await once(server, 'close');
			await t.throwsAsync(stat(file), {code: 'ENOENT'});
			await release();
		}

		const server = createServer();
		await t.throwsAsync(listenPrivately(server, path.join(folder, 'not-there', 'x.sock')));
		t.false(server.listening);
	} finally {
		await rm(folder, {recursive: true});
	}
});
