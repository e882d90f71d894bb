import {mkdir, rm} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {LabError} from '../../lab/host/error.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {openSecrets} from '../../lab/runtime/secrets.ts';
import {checkValidity} from '../../lab/runtime/validity.ts';

const hour = 3_600_000;
const year = 365 * 24 * hour;

test('a lab\'s certificates are valid now, in a month and in nine years', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const secrets = openSecrets(folder);
		await secrets.certificate({authority: 'kubernetes', commonName: 'kube-apiserver', usages: ['server']});
		await secrets.keyPair('service-account');
		await secrets.hostKey('node-1');
		for (const time of [0, 30 * 24 * hour, 9 * year]) {
			await t.notThrowsAsync(checkValidity(folder, Date.now() + time));
		}
	});
});

test('a time after their end or before their begin is refused, with each certificate, its issuer and the date', async (t) => {
	await withTemporaryFolder(async (folder) => {
		await openSecrets(folder).certificate({authority: 'kubernetes', commonName: 'kube-apiserver', usages: ['server']});
		const late = await t.throwsAsync(checkValidity(folder, Date.now() + 11 * year), {instanceOf: LabError});
		t.is(late.code, 'certificate-not-valid');
		t.is(late.exitCode, 4);
		t.is(late.details.length, 2);
		t.regex(late.details[0] ?? '', /^the certificate of vmlab kubernetes, issued by vmlab kubernetes, expired on \d{4}-.*Z$/);
		t.regex(late.details[1] ?? '', /^the certificate of kube-apiserver, issued by vmlab kubernetes, expired on \d{4}-.*Z$/);
		const early = await t.throwsAsync(checkValidity(folder, Date.now() - 24 * hour), {instanceOf: LabError});
		t.regex(early.details[1] ?? '', /kube-apiserver.* is valid from \d{4}-/);
	});
});

test('a lab without certificates may live at any time', async (t) => {
	await withTemporaryFolder(async (folder) => {
		await t.notThrowsAsync(checkValidity(folder, 0));
		await mkdir(path.join(folder, 'secrets'));
		await t.notThrowsAsync(checkValidity(folder, 0));
		await rm(path.join(folder, 'secrets'), {recursive: true});
	});
});
