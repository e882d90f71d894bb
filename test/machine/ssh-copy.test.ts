import {chmod, mkdir, readFile, readdir, stat, symlink, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {LabError} from '../../lab/host/error.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {connectSsh, type SshConnection} from '../../lab/machine/ssh.ts';
import {startSshServer, type TestServerOptions} from './ssh-server.ts';

/** A machine whose files are in `there`, and a folder of this computer. */
async function withMachine(use: (ssh: SshConnection, there: string, here: string) => Promise<void>, options: TestServerOptions = {}): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		const [there, here] = [path.join(folder, 'there'), path.join(folder, 'here')];
		await Promise.all([there, here].map(async (side) => mkdir(side)));
		const server = await startSshServer({files: there, ...options});
		const ssh = await connectSsh({port: server.port, hostKey: server.hostKeys.publicKey, privateKey: server.userKeys.privateKey, machine: 'node-1', deadline: 20_000});
		try {
			await use(ssh, there, here);
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
		t.is((await t.throwsAsync(ssh.upload(here, '/a/b/c'), {instanceOf: LabError})).code, 'copy-failed');
	});
});

test('a machine without sftp is told as such', async (t) => {
	const server = await startSshServer();
	const ssh = await connectSsh({port: server.port, hostKey: server.hostKeys.publicKey, privateKey: server.userKeys.privateKey, deadline: 20_000});
	const error = await t.throwsAsync(ssh.upload('/etc/hostname', '/x'), {instanceOf: LabError});
	t.is(error.code, 'copy-failed');
	t.regex(error.hint ?? '', /openssh-sftp-server/);
	ssh.close();
	await server.close();
});
