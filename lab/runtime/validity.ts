/** From when until when the certificates of a lab are valid: a fork may be told to live at another time. */
import {X509Certificate} from 'node:crypto';
import {readdir, readFile} from 'node:fs/promises';
import path from 'node:path';
import {failure} from '../host/failure.ts';
import {secretsFolder} from './secrets.ts';

/** What a distinguished name names: 'kube-apiserver'. */
function commonName(name: string): string {
	return /^CN=(.*)$/m.exec(name)?.[1] ?? name;
}

/**
 * Checks that all certificates of a lab, which its folder or that of its frozen state has, are valid at a time.
 *
 * @param time milliseconds since 1970
 * @throws `certificate-not-valid`, with each certificate, its issuer and the date
 */
export async function checkValidity(folder: string, time: number): Promise<void> {
	const secrets = path.join(folder, secretsFolder);
	const names = await readdir(secrets).catch((error: NodeJS.ErrnoException) => {
		if (error.code === 'ENOENT') {
			return [];
		}

		throw error;
	});
	const wrong = await Promise.all(names.filter((name) => /^(authority|certificate)-.*\.crt$/.test(name)).sort().map(async (name) => {
		const {subject, issuer, validFrom, validTo} = new X509Certificate(await readFile(path.join(secrets, name)));
		const [begin, end] = [new Date(validFrom), new Date(validTo)];
		const what = `the certificate of ${commonName(subject)}, issued by ${commonName(issuer)},`;
		return time < begin.getTime() ? [`${what} is valid from ${begin.toISOString()}`]
			: time > end.getTime() ? [`${what} expired on ${end.toISOString()}`] : [];
	}));
	const clauses = wrong.flat();
	if (clauses.length > 0) {
		throw failure.certificateNotValid(new Date(time), clauses);
	}
}
