import {once} from 'node:events';
import {mkdir, readdir} from 'node:fs/promises';
import {createConnection, createServer} from 'node:net';
import path from 'node:path';
import test from 'ava';
import {socketPath} from '../../lab/host/socket-path.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';

test('a short path stays as it is', async (t) => {
	const short = await socketPath('/tmp/x.sock');
	t.is(short.path, '/tmp/x.sock');
	await short.release();
});

test('a server and a client meet at a path that no socket address holds', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const deep = path.join(folder, 'x'.repeat(120));
		await mkdir(deep);
		const file = path.join(deep, 'x.sock');
		const [own, other] = [await socketPath(file), await socketPath(file)];
		t.true(own.path.length < 108);
		const server = createServer((socket) => socket.end('hello'));
		server.listen(own.path);
		await once(server, 'listening');
		t.deepEqual(await readdir(deep), ['x.sock']);
		const client = createConnection(other.path);
		const [greeting] = await once(client, 'data') as [Buffer];
		t.is(greeting.toString(), 'hello');
		server.close();
		await once(server, 'close');
		await Promise.all([own.release(), other.release()]);
	});
});

test('a folder that is not there is an error', async (t) => {
	await t.throwsAsync(socketPath(`/no/such/${'x'.repeat(120)}/x.sock`), {code: 'ENOENT'});
});
