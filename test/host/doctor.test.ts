import {chmod, mkdir, writeFile} from 'node:fs/promises';
import {once} from 'node:events';
import {createServer as createWebServer, type ServerResponse} from 'node:http';
import {createServer} from 'node:net';
import path from 'node:path';
import test from 'ava';
import {compareGo, goFinding, toolchainFor} from '../../lab/host/doctor/go.ts';
import {askDocker, builderFindings, qemuFinding} from '../../lab/host/doctor/programs.ts';
import {checkDisk, checkPort, checkSharedMemory, checkTun, hasRange, memoryFinding, userNamespaceFindings} from '../../lab/host/doctor/resources.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {timeLimit} from '../../lab/host/wait.ts';

const gib = 1024 ** 3;

test('memory: enough, tight, too little, unknown', (t) => {
	t.is(memoryFinding(8 * gib, 6 * gib).status, 'ok');
	t.is(memoryFinding(4 * gib, 6 * gib).status, 'warning');
	t.is(memoryFinding(2 * gib, 6 * gib).status, 'problem');
	t.is(memoryFinding(undefined, gib).status, 'warning');
});

test('disk: the nearest folder that exists counts', async (t) => {
	await withTemporaryFolder(async (folder) => {
		t.like((await checkDisk(path.join(folder, 'not/yet/there'), 1024))[0], {id: 'disk', status: 'ok'});
		t.like((await checkDisk(folder, 2 ** 60))[0], {id: 'disk', status: 'problem'});
	});
});

test('disk: a folder below a file cannot be used', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const file = path.join(folder, 'file');
		await writeFile(file, '');
		const [finding] = await checkDisk(path.join(file, 'cache'), 1024);
		t.is(finding?.status, 'problem');
		t.regex(finding?.advice ?? '', /--cache-dir/);
	});
});

test('a small /dev/shm costs speed only', async (t) => {
	t.is((await checkSharedMemory(1024, '/dev/shm'))[0]?.status, 'ok');
	t.is((await checkSharedMemory(2 ** 60, '/dev/shm'))[0]?.status, 'warning');
	t.is((await checkSharedMemory(1024, '/no/such/folder'))[0]?.status, 'warning');
});

test('no lab needs the tun device', async (t) => {
	t.is((await checkTun('/no/such/device'))[0]?.status, 'ok');
});

test('a taken port is told, with who has it', async (t) => {
	const server = createServer();
	await new Promise<void>((resolve) => {
		server.listen(0, '127.0.0.1', resolve);
	});
	const {port} = server.address() as {port: number};
	t.is((await checkPort(port, 'kube-apiserver'))[0]?.status, 'warning');
	t.like((await checkPort(port, 'kube-apiserver', 'the lab ipv4'))[0], {status: 'ok'});
	server.close();
});

test('a closed port is free', async (t) => {
	const server = createServer();
	await new Promise<void>((resolve) => {
		server.listen(0, '127.0.0.1', resolve);
	});
	const {port} = server.address() as {port: number};
	await new Promise((resolve) => {
		server.close(resolve);
	});
	t.is((await checkPort(port, 'kube-apiserver'))[0]?.status, 'ok');
});

test('subordinate ids: by name or number, 65536 at least', (t) => {
	t.true(hasRange('root:1:1\nsomeone:100000:65536\n', 'someone', 1000));
	t.true(hasRange('1000:100000:65536\n', 'someone', 1000));
	t.false(hasRange('someone:100000:1000\n', 'someone', 1000));
	t.false(hasRange('', 'someone', 1000));
});

test('what an ordinary user lacks for user namespaces is a problem, and only a warning where Docker builds images', (t) => {
	const ordinary = {uid: 1000, username: 'someone', newuidmap: true, lacking: []};
	const broken = [
		{...ordinary, refusal: 'unshare: unshare failed: Operation not permitted'}, {...ordinary, newuidmap: false}, {...ordinary, lacking: ['/etc/subuid']},
	];
	for (const found of broken) {
		t.is(userNamespaceFindings(found, undefined)[0]?.status, 'problem');
		const [warning] = userNamespaceFindings(found, '20.10');
		t.is(warning?.status, 'warning');
		t.regex(warning?.text ?? '', /images are made in a Docker container instead$/);
		t.truthy(warning?.advice);
		t.deepEqual(userNamespaceFindings({...found, uid: 0}, undefined).map(({status}) => status), ['ok']);
	}

	t.deepEqual(userNamespaceFindings(ordinary, undefined).map(({status}) => status), ['ok']);
});

test('QEMU: too old, tried, and not tried', (t) => {
	t.like(qemuFinding(7, 1), {status: 'problem', text: 'QEMU 7.1 is too old: machines need 7.2'});
	t.is(qemuFinding(6, 9).status, 'problem');
	t.like(qemuFinding(7, 2), {status: 'ok', text: 'QEMU 7.2, which vmlab was tried with'});
	const untried = qemuFinding(8, 0);
	t.is(untried.status, 'ok', 'a newer one is no problem');
	t.regex(untried.text, /^QEMU 8\.0; vmlab was tried with 7\.2.* and not with this one$/);
});

test('images are made by mmdebstrap, or with Docker, or not at all', (t) => {
	t.deepEqual(builderFindings(true, undefined).map(({status}) => status), ['ok', 'ok']);
	t.is(builderFindings(false, '20.10')[0]?.status, 'warning');
	t.is(builderFindings(false, undefined)[0]?.status, 'problem');
	t.deepEqual(builderFindings(false, undefined)[0]?.packages, ['mmdebstrap']);
});

/** What a daemon of a test does with a question, and what is known of it then. */
const daemons: ReadonlyArray<readonly [title: string, answer: (response: ServerResponse) => void, version: string | undefined]> = [
	['that answers is known by its version', (response) => response.end('{"Version":"20.10"}'), '20.10'],
	['that answers with something else is none', (response) => response.end('<html>'), undefined],
	['that is cut off in its answer is none', (response) => {
		response.writeHead(200, {'content-length': '100'}).write('{"Ver', () => response.destroy());
	}, undefined],
	['that stalls in its answer is none', (response) => {
		response.writeHead(200, {'content-length': '100'}).write('{"Ver');
	}, undefined],
	['that never gets to the end of its answer is none', (response) => {
		response.writeHead(200);
		const drip = setInterval(() => response.write(' '), 100);
		response.once('close', () => {
			clearInterval(drip);
		});
	}, undefined],
];

for (const [title, answer, version] of daemons) {
	test.serial(`a Docker daemon ${title}`, async (t) => {
		await withTemporaryFolder(async (folder) => {
			const socket = path.join(folder, 'docker.sock');
			const server = createWebServer((_request, response) => {
				answer(response);
			}).listen(socket);
			await once(server, 'listening');
			const before = process.env['DOCKER_HOST'];
			process.env['DOCKER_HOST'] = `unix://${socket}`;
			try {
				const late = timeLimit(20_000);
				t.is(await Promise.race([askDocker(), once(late, 'abort').then(() => 'still waits')]), version);
			} finally {
				server.closeAllConnections();
				server.close();
				if (before === undefined) {
					delete process.env['DOCKER_HOST'];
				} else {
					process.env['DOCKER_HOST'] = before;
				}
			}
		});
	});
}

test('versions of Go compare by numbers', (t) => {
	t.true(compareGo('1.26', '1.9') > 0);
	t.is(compareGo('1.26.8', '1.26'), 0);
	t.true(compareGo('1.19.8', '1.26') < 0);
});

test('Go fetches a newer one where it can, and is left alone where it is new enough', (t) => {
	const of = (version: string, wanted: string): string | undefined => toolchainFor({program: 'go', version}, wanted);
	t.is(of('1.26.8', '1.26'), 'auto', 'a module may ask for a later patch level');
	t.is(of('1.19.8', '1.18'), 'local');
	t.is(of('1.24.4', '1.26'), 'go1.26.0+auto');
	t.is(of('1.22.2', '1.26.3'), 'go1.26.3+auto');
	t.is(of('1.19.8', '1.26'), undefined);
});

test('Go: missing, too old, good', (t) => {
	const needs = [{component: 'kubernetes 1.36.3', version: '1.26', released: false}];
	const missing = goFinding(undefined, '1.26', needs);
	t.is(missing.status, 'problem');
	t.regex(missing.text, /kubernetes 1\.36\.3 has to be built with Go 1\.26 or newer/);
	t.deepEqual(missing.packages, ['golang-1.26-go', 'golang-go']);
	t.is(goFinding({program: 'go', version: '1.19.8'}, '1.26', needs).status, 'problem');
	t.is(goFinding({program: 'go', version: '1.26.0'}, '1.26', needs).status, 'ok');
	const fetching = goFinding({program: 'go', version: '1.24.4'}, '1.26', needs);
	t.is(fetching.status, 'ok');
	t.regex(fetching.text, /^Go 1\.24\.4, which fetches Go 1\.26 itself/);
});

test('Go: what can be downloaded only warns', (t) => {
	t.is(goFinding(undefined, '1.26', [{component: 'etcd 3.6.5', version: '1.26', released: true}]).status, 'warning');
});

test.serial('programs: what PATH does not have is missing, with its package', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const bin = path.join(folder, 'bin');
		await mkdir(bin);
		await writeFile(path.join(bin, 'fakeroot'), '#!/bin/sh\n');
		await chmod(path.join(bin, 'fakeroot'), 0o755);
		const before = process.env['PATH'];
		process.env['PATH'] = bin;
		try {
			const {checkPrograms} = await import('../../lab/host/doctor/programs.ts');
			const findings = await checkPrograms();
			t.is(findings.find(({id}) => id === 'fakeroot')?.status, 'ok');
			const missing = findings.find(({id}) => id === 'cpio');
			t.is(missing?.status, 'problem');
			t.deepEqual(missing?.packages, ['cpio']);
			t.truthy(missing?.advice);
		} finally {
			process.env['PATH'] = before;
		}
	});
});
