import {once} from 'node:events';
import {createServer} from 'node:net';
import test from 'ava';
import {findPorts} from '../../lab/runtime/ports.ts';

test('ports are different, and the wanted one where it is free', async (t) => {
	const ports = await findPorts(Array.from({length: 20}, () => undefined));
	t.is(new Set(ports).size, 20);
	t.deepEqual(await findPorts([undefined, ports[0]]).then(([, wanted]) => wanted), ports[0]);
});

test('a port that is in use, on this address or on all, is replaced by a free one', async (t) => {
	for (const host of ['127.0.0.1', '0.0.0.0']) {
		const server = createServer().listen(0, host);
		await once(server, 'listening');
		const {port} = server.address() as {port: number};
		const [found] = await findPorts([port]);
		t.not(found, port);
		t.true(found! > 0);
		server.close();
	}
});

test('one port that is wanted twice is given once', async (t) => {
	const [free] = await findPorts([undefined]);
	const [one, two] = await findPorts([free, free]);
	t.is(one, free);
	t.not(two, free);
});
