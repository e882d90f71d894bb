import {chmod, mkdir, readFile, readdir, stat, symlink, truncate, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {LabError} from '../../lab/host/error.ts';
import {failure} from '../../lab/host/failure.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {until} from '../../lab/host/wait.ts';
import {connectSsh, type SshConnection} from '../../lab/machine/ssh.ts';
import {startSshServer, type TestServer, type TestServerOptions} from './ssh-server.ts';

/** A machine whose files are in `there`, and a folder of this computer. */
async function withMachine(use: (ssh: SshConnection, there: string, here: string, server: TestServer) => Promise<void>, options: TestServerOptions = {}): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		const [there, here] = [path.join(folder, 'there'), path.join(folder, 'here')];
		await Promise.all([there, here].map(async (side) => mkdir(side)));
		const server = await startSshServer({files: there, ...options});
		const ssh = await connectSsh({port: server.port, hostKey: server.hostKeys.publicKey, privateKey: server.userKeys.privateKey, machine: 'node-1', deadline: 20_000});
		try {
			await use(ssh, there, here, server);
		} finally {
			ssh.close();
			await server.close();
		}
	});
}

/** A small tree: a program, a large file, an empty one, and a link. */
async function makeTree(folder: string): Promise<void> {
	await mkdir(path.join(folder, 'sub/empty'), {recursive: true});
	await writeFile(path.join(folder, 'program'), '#!/bin/sh\n');
	await chmod(path.join(folder, 'program'), 0o755);
	await writeFile(path.join(folder, 'sub/large'), Buffer.alloc(300_000, 7));
	await writeFile(path.join(folder, 'sub/nothing'), '');
	await symlink('../program', path.join(folder, 'sub/link'));
	await symlink('/', path.join(folder, 'sub/root'));
}

test('a file goes to the machine and back, with its permission bits', async (t) => {
	await withMachine(async (ssh, there, here) => {
		await writeFile(path.join(here, 'a'), 'hello');
		await chmod(path.join(here, 'a'), 0o750);
		t.is(await ssh.upload(path.join(here, 'a'), '/b'), 1);
		t.is(await readFile(path.join(there, 'b'), 'utf8'), 'hello');
		t.is((await stat(path.join(there, 'b'))).mode & 0o777, 0o750);
		t.is(await ssh.download('/b', path.join(here, 'c')), 1);
		t.is(await readFile(path.join(here, 'c'), 'utf8'), 'hello');
	});
});

test('where the target is a folder, the file goes into it', async (t) => {
	await withMachine(async (ssh, there, here) => {
		await mkdir(path.join(there, 'etc'));
		await writeFile(path.join(here, 'a'), 'hello');
		await ssh.upload(path.join(here, 'a'), '/etc');
		t.is(await readFile(path.join(there, 'etc/a'), 'utf8'), 'hello');
		await mkdir(path.join(here, 'got'));
		await ssh.download('/etc/a', path.join(here, 'got'));
		t.is(await readFile(path.join(here, 'got/a'), 'utf8'), 'hello');
	});
});

test('folders go whole, in both directions; links to folders are left out', async (t) => {
	await withMachine(async (ssh, there, here) => {
		await makeTree(path.join(here, 'tree'));
		const files: string[] = [];
		t.is(await ssh.upload(path.join(here, 'tree'), '/tree', {onFile: (file) => files.push(file)}), 4);
		t.deepEqual(files, ['/tree/program', '/tree/sub/large', '/tree/sub/link', '/tree/sub/nothing']);
		t.deepEqual((await readdir(path.join(there, 'tree/sub'))).sort(), ['empty', 'large', 'link', 'nothing']);
		t.is((await stat(path.join(there, 'tree/program'))).mode & 0o777, 0o755);

		await makeTree(path.join(there, 'other'));
		t.is(await ssh.download('/other', path.join(here, 'got')), 4);
		t.deepEqual((await readdir(path.join(here, 'got/sub'))).sort(), ['empty', 'large', 'link', 'nothing']);
		t.deepEqual(await readFile(path.join(here, 'got/sub/large')), Buffer.alloc(300_000, 7));
	});
});

for (const name of ['../../escape', '/etc/passwd', 'a/b', '']) {
	test(`a machine that names an entry ${JSON.stringify(name)} writes nothing with it`, async (t) => {
		await withMachine(async (ssh, there, here) => {
			await mkdir(path.join(there, 'x'));
			await writeFile(path.join(there, 'x/file'), 'text');
			const error = await t.throwsAsync(ssh.download('/x', path.join(here, 'got')), {instanceOf: LabError});
			t.is(error.code, 'copy-failed');
			t.deepEqual(await readdir(here), ['got']);
		}, {lie: [name]});
	});
}

test('the folder itself and the one above it, in a listing, are passed over', async (t) => {
	await withMachine(async (ssh, there, here) => {
		await mkdir(path.join(there, 'x'));
		await writeFile(path.join(there, 'x/file'), 'text');
		t.is(await ssh.download('/x', path.join(here, 'got')), 1);
		t.deepEqual([await readdir(here), await readdir(path.join(here, 'got'))], [['got'], ['file']]);
	}, {lie: ['.', '..']});
});

test('what is not there is an error that names it', async (t) => {
	await withMachine(async (ssh, _there, here) => {
		t.regex((await t.throwsAsync(ssh.download('/no/such', here), {instanceOf: LabError})).message, /\/no\/such.*no such file/);
		t.is((await t.throwsAsync(ssh.upload(path.join(here, 'missing'), '/x'), {instanceOf: LabError})).code, 'copy-failed');
		t.is((await t.throwsAsync(ssh.upload(here, '/a/b/c'), {instanceOf: LabError})).message, `${here} could not be copied to or from the machine node-1: there is no folder /a/b on it`);
		await writeFile(path.join(here, 'file'), '');
		t.regex((await t.throwsAsync(ssh.upload(path.join(here, 'file'), '/new/'), {instanceOf: LabError})).message, /there is no folder \/new\/ on it$/);
		t.is(await ssh.upload(here, '/new/'), 1);
	});
});

/** Begins to copy a large file from a machine, and does something to it in the middle. */
const withLargeFile = async (disturb: (server: TestServer) => void, use: (copy: Promise<number>) => Promise<void>, signal?: AbortSignal): Promise<void> => {
	await withMachine(async (ssh, there, here, server) => {
		const [remote, local] = [path.join(there, 'large'), path.join(here, 'large')];
		await writeFile(remote, '');
		await truncate(remote, 1024 ** 3);
		const copy = ssh.download('/large', local, {signal});
		const noticed = use(copy);
		await until('some of it is here', async () => {
			const {size} = await stat(local).catch(() => ({size: 0}));
			return size > 0 ? {met: true, value: undefined} : {met: false, seen: 'nothing'};
		}, {deadline: 60_000, interval: 5});
		disturb(server);
		await noticed;
	});
};

test('a copy whose connection is lost in the middle fails', async (t) => {
	await withLargeFile((server) => {
		server.cut();
	}, async (copy) => {
		t.is((await t.throwsAsync(copy, {instanceOf: LabError})).code, 'copy-failed');
	});
});

test('a copy from a machine that hangs ends when it is aborted', async (t) => {
	const abort = new AbortController();
	await withLargeFile((server) => {
		server.hang();
		abort.abort(failure.interrupted('SIGINT'));
	}, async (copy) => {
		t.is((await t.throwsAsync(copy, {instanceOf: LabError})).message, 'Interrupted by SIGINT');
	}, abort.signal);
});

test('a file of more bytes than are wanted is not copied', async (t) => {
	await withMachine(async (ssh, there, here) => {
		await writeFile(path.join(there, 'a'), 'hello');
		t.is(await ssh.download('/a', path.join(here, 'a'), {mostBytes: 5}), 1);
		t.is(await readFile(path.join(here, 'a'), 'utf8'), 'hello');
		t.regex((await t.throwsAsync(ssh.download('/a', path.join(here, 'b'), {mostBytes: 4}), {instanceOf: LabError})).message, /5 bytes/);
	});
});

test('a file that is said to be empty, and then is not, fills no disk', async (t) => {
	await withMachine(async (ssh, there, here) => {
		await writeFile(path.join(there, 'a'), 'hello', {mode: 0o600});
		t.is(await ssh.download('/a', path.join(here, 'a'), {mostBytes: 4}), 1);
		t.is(await readFile(path.join(here, 'a'), 'utf8'), '');
		t.is((await stat(path.join(here, 'a'))).mode & 0o777, 0o600);
	}, {hides: true});
});

test('a file that is said to be empty, as those below /proc are, is copied as it is', async (t) => {
	await withMachine(async (ssh, there, here) => {
		await writeFile(path.join(there, 'a'), Buffer.alloc(100_000, 7), {mode: 0o640});
		t.is(await ssh.download('/a', path.join(here, 'a')), 1);
		t.deepEqual(await readFile(path.join(here, 'a')), Buffer.alloc(100_000, 7));
		t.is((await stat(path.join(here, 'a'))).mode & 0o777, 0o640);
	}, {hides: true});
});

test('a machine without sftp is told as such', async (t) => {
	const server = await startSshServer();
	t.teardown(async () => server.close());
	const ssh = await connectSsh({port: server.port, hostKey: server.hostKeys.publicKey, privateKey: server.userKeys.privateKey, deadline: 20_000});
	t.teardown(() => {
		ssh.close();
	});
	const error = await t.throwsAsync(ssh.upload('/etc/hostname', '/x'), {instanceOf: LabError});
	t.is(error.code, 'copy-failed');
	t.regex(error.hint ?? '', /openssh-sftp-server/);
});
