import {mkdir, readdir, readFile, stat, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {gzipSync} from 'node:zlib';
import test from 'ava';
import {run} from '../../lab/host/program.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {openSecrets} from '../../lab/runtime/secrets.ts';
import {seedEntries, writeInitramfs} from '../../lab/runtime/seed.ts';
import type {CertificateRequest, FileDeclaration} from '../../lab/spec/secret.ts';

const certificate: CertificateRequest = {authority: 'etcd', commonName: 'etcd', addresses: ['192.168.1.1'], usages: ['server']};
const files: FileDeclaration[] = [
	{path: '/etc/hostname', text: 'node-1\n'},
	{path: '/usr/bin/hello', text: '#!/bin/sh\n', mode: 0o755},
	{path: '/etc/pki/ca.crt', authority: 'etcd'},
	{path: '/etc/pki/ca.key', authorityKey: 'etcd'},
	{path: '/etc/pki/etcd.crt', certificate},
	{path: '/etc/pki/etcd.key', certificateKey: certificate},
	{path: '/etc/pki/sa.key', keyPair: 'service-account', part: 'private'},
	{path: '/etc/pki/sa.pub', keyPair: 'service-account', part: 'public'},
	{path: '/etc/ssh/ssh_host_ed25519_key', ssh: 'host-key'},
	{path: '/root/.ssh/authorized_keys', ssh: 'authorized-key'},
	{path: '/etc/localtime', link: '/usr/share/zoneinfo/Etc/UTC'},
	{path: '/etc/systemd/system/own.service', text: '[Unit]\n'},
	{path: '/etc/a name with spaces', text: ''},
];
const machine = {name: 'node-1', files, units: ['etcd.service', 'own.service', 'getty@tty1.service'], state: ['/var/lib/etcd', '/var/lib/containerd']};

/** Unpacks what follows the image's part, and lists it with modes and owners. */
async function unpack(folder: string, initramfs: string, imageSize: number): Promise<{list: string; tree: string}> {
	const seed = (await readFile(initramfs)).subarray(Math.ceil(imageSize / 4) * 4);
	const archive = path.join(folder, 'seed.cpio');
	await writeFile(archive, seed);
	const tree = path.join(folder, 'tree');
	await run('mkdir', [tree]);
	await run('cpio', ['--extract', '--quiet', '--no-preserve-owner', `--file=${archive}`], {cwd: tree});
	const {stdout} = await run('cpio', ['--list', '--verbose', '--numeric-uid-gid', '--quiet', `--file=${archive}`]);
	return {list: stdout, tree};
}

test('the seed has what was declared, owned by root, behind the image', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const image = path.join(folder, 'image');
		await writeFile(image, gzipSync('an archive of the image'));
		const secrets = openSecrets(folder);
		const target = path.join(folder, 'initramfs');
		await writeInitramfs(machine, {image, target, secrets});
		t.is((await stat(target)).mode & 0o777, 0o600);
		const {size} = await stat(image);
		t.deepEqual((await readFile(target)).subarray(0, size), await readFile(image));
		const {list, tree} = await unpack(folder, target, size);
		const modes = new Map(list.split('\n').map((line) => {
			const [mode = '', , user, group, ...rest] = line.split(/\s+/);
			t.is(`${user}:${group}`, '0:0', line);
			return [/(vmlab.*?)(?: -> .*)?$/.exec(rest.join(' '))?.[1] ?? '', mode] as const;
		}));
		t.is(modes.get('vmlab/root/etc/hostname'), '-rw-r--r--');
		t.is(modes.get('vmlab/root/usr/bin/hello'), '-rwxr-xr-x');
		t.is(modes.get('vmlab/root/etc/pki/ca.key'), '-rw-------');
		t.is(modes.get('vmlab/root/etc/ssh/ssh_host_ed25519_key'), '-rw-------');
		t.is(modes.get('vmlab/root/etc'), 'drwxr-xr-x');
		t.is(modes.get('vmlab/root/root'), 'drwx------');
		t.is(modes.get('vmlab/root/root/.ssh'), 'drwx------');
		t.true(modes.has('vmlab/root/etc/a name with spaces'));
		const text = async (file: string): Promise<string> => readFile(path.join(tree, 'vmlab/root', file), 'utf8');
		t.is(await text('etc/hostname'), 'node-1\n');
		t.is(await text('etc/pki/etcd.crt'), (await secrets.certificate(certificate)).public);
		t.is(await text('etc/pki/sa.pub'), (await secrets.keyPair('service-account')).public);
		t.is(await text('etc/ssh/ssh_host_ed25519_key'), (await secrets.hostKey('node-1')).privateKey);
		t.is(await text('root/.ssh/authorized_keys'), `${(await secrets.loginKey()).publicKey}\n`);
		t.is(await readFile(path.join(tree, 'vmlab/state'), 'utf8'), '/var/lib/etcd\n/var/lib/containerd\n');
		t.regex(list, /multi-user\.target\.wants\/etcd\.service -> \/usr\/lib\/systemd\/system\/etcd\.service/);
		t.regex(list, /multi-user\.target\.wants\/own\.service -> \/etc\/systemd\/system\/own\.service/);
		t.regex(list, /multi-user\.target\.wants\/getty@tty1\.service -> \/usr\/lib\/systemd\/system\/getty@\.service/);
		t.regex(list, /etc\/localtime -> \/usr\/share\/zoneinfo\/Etc\/UTC/);
	});
});

test('the archive begins at a multiple of four bytes, whatever the size of the image\'s part', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const secrets = openSecrets(folder);
		for (const size of [4, 5, 6, 7]) {
			const image = path.join(folder, `image-${size}`);
			await writeFile(image, Buffer.alloc(size, 1));
			const target = path.join(folder, `initramfs-${size}`);
			await writeInitramfs({...machine, files: [], units: []}, {image, target, secrets});
			const bytes = await readFile(target);
			t.is(bytes.indexOf('070701'), Math.ceil(size / 4) * 4);
		}
	});
});

test('a declared mode wins over the one for secrets', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const entries = await seedEntries({...machine, units: [], files: [{path: '/etc/k', certificateKey: certificate, mode: 0o640}]}, openSecrets(folder));
		t.like(entries[0], {path: '/etc/k', mode: 0o640});
	});
});

test.serial('a seed is put together in the folder of its machine, which is cleared with the lab, and nowhere else', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const before = process.env['TMPDIR'];
		process.env['TMPDIR'] = path.join(folder, 'no-such-folder');
		try {
			const image = path.join(folder, 'image');
			await writeFile(image, Buffer.alloc(4));
			await mkdir(path.join(folder, 'node-1'));
			await writeInitramfs({...machine, files: [], units: []}, {image, target: path.join(folder, 'node-1/initramfs'), secrets: openSecrets(folder)});
			t.deepEqual(await readdir(path.join(folder, 'node-1')), ['initramfs']);
		} finally {
			if (before === undefined) {
				delete process.env['TMPDIR'];
			} else {
				process.env['TMPDIR'] = before;
			}
		}
	});
});
