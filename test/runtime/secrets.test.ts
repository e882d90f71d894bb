import {X509Certificate, createPrivateKey, createPublicKey, sign, verify} from 'node:crypto';
import {readdir, stat, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {run} from '../../lab/host/program.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {openSecrets} from '../../lab/runtime/secrets.ts';
import type {CertificateRequest} from '../../lab/spec/secret.ts';

const server: CertificateRequest = {
	authority: 'kubernetes', commonName: 'kube-apiserver', organizations: ['system:masters', 'b'],
	names: ['node-1', 'kubernetes.default.svc'], addresses: ['192.168.1.1', '1000::1:c0a8:101', '127.0.0.1'], usages: ['server', 'client'],
};

test('a certificate has the names, addresses and usages that were asked for', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const {public: pem} = await openSecrets(folder).certificate(server);
		const certificate = new X509Certificate(pem);
		t.is(certificate.subject, 'O=b\nO=system:masters\nCN=kube-apiserver');
		t.is(certificate.checkHost('node-1'), 'node-1');
		t.is(certificate.checkIP('192.168.1.1'), '192.168.1.1');
		t.is(certificate.checkIP('1000::1:c0a8:101'), '1000::1:c0a8:101');
		t.is(certificate.checkHost('node-2'), undefined);
		t.false(certificate.ca);
		const {stdout} = await run('openssl', ['x509', '-noout', '-text'], {input: pem});
		t.regex(stdout, /TLS Web Client Authentication, TLS Web Server Authentication/);
		t.regex(stdout, /Key Usage: critical\n\s+Digital Signature\n/);
		t.true(new Date(certificate.validFrom) < new Date(Date.now() - 3_000_000));
		t.true(new Date(certificate.validTo) > new Date(Date.now() + 9 * 365 * 86_400_000));
	});
});

test('openssl verifies a certificate against its authority and no other', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const secrets = openSecrets(folder);
		const files = {leaf: path.join(folder, 'leaf'), good: path.join(folder, 'good'), other: path.join(folder, 'other')};
		await writeFile(files.leaf, (await secrets.certificate(server)).public);
		await writeFile(files.good, (await secrets.authority('kubernetes')).public);
		await writeFile(files.other, (await secrets.authority('etcd')).public);
		const {stdout} = await run('openssl', ['verify', '-x509_strict', '-purpose', 'sslserver', '-verify_ip', '127.0.0.1', '-CAfile', files.good, files.leaf]);
		t.regex(stdout, /: OK/);
		await t.throwsAsync(run('openssl', ['verify', '-CAfile', files.other, files.leaf]), {message: /openssl verify/});
		const authority = new X509Certificate((await secrets.authority('kubernetes')).public);
		t.true(authority.ca);
		t.true(authority.checkPrivateKey(createPrivateKey((await secrets.authority('kubernetes')).private)));
	});
});

test('a certificate is valid as long as its authority, whenever it is issued', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const authority = new X509Certificate((await openSecrets(folder).authority('kubernetes')).public);
		const issued = new X509Certificate((await openSecrets(folder).certificate(server)).public);
		t.is(issued.validFrom, authority.validFrom);
		t.is(issued.validTo, authority.validTo);
	});
});

test('the same request is the same certificate, whatever its order and who asks', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const secrets = openSecrets(folder);
		const [one, two] = await Promise.all([
			secrets.certificate(server),
			secrets.certificate({...server, names: [...server.names!].reverse(), usages: ['client', 'server']}),
		]);
		t.deepEqual(one, two);
		t.deepEqual(await openSecrets(folder).certificate(server), one);
		t.notDeepEqual(await secrets.certificate({...server, commonName: 'other'}), one);
		t.true(new X509Certificate(one.public).checkPrivateKey(createPrivateKey(one.private)));
	});
});

test('two labs share no secret', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const [one, two] = await Promise.all(['one', 'two'].map(async (lab) => openSecrets(path.join(folder, lab)).authority('kubernetes')));
		t.not(one!.private, two!.private);
	});
});

test('a key pair without certificate signs and verifies', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const pair = await openSecrets(folder).keyPair('service-account');
		t.regex(pair.private, /^-----BEGIN PRIVATE KEY-----\n/);
		t.regex(pair.public, /^-----BEGIN PUBLIC KEY-----\n/);
		const signature = sign('sha256', Buffer.from('x'), createPrivateKey(pair.private));
		t.true(verify('sha256', Buffer.from('x'), createPublicKey(pair.public), signature));
	});
});

test('only the owner reads the files', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const secrets = openSecrets(folder);
		await Promise.all([secrets.certificate(server), secrets.keyPair('a'), secrets.hostKey('node-1'), secrets.loginKey()]);
		t.is((await stat(path.join(folder, 'secrets'))).mode & 0o777, 0o700);
		for (const entry of await readdir(folder, {recursive: true, withFileTypes: true})) {
			if (entry.isFile()) {
				t.is((await stat(path.join(entry.parentPath, entry.name))).mode & 0o777, 0o600, entry.name);
			}
		}
	});
});
