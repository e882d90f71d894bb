/**
 * The project's official release download, checked against the checksum that the project publishes.
 *
 * curl(1) does the transfer: it knows the proxy variables, resumes, and tells a cut download from a whole one.
 */
import {chmod, copyFile, readFile} from 'node:fs/promises';
import path from 'node:path';
import {digestFile} from '../../host/digest.ts';
import {failure} from '../../host/failure.ts';
import {findProgram, run} from '../../host/program.ts';
import type {StageWork} from '../../store/store.ts';
import {type Answer, type Delivery, lacks, type Provider} from './provider.ts';

/** Where there is no network, it shows at the first small file; seconds. */
const connectTimeout = 5;

/** Downloads the release's archive and takes the programs out of it. */
export const releaseProvider: Provider = {
	name: 'release',
	async deliver({component, work}: Delivery): Promise<Answer> {
		const {release, version, programs} = component;
		if (release === undefined) {
			return lacks('no release download is declared');
		}

		if ((await findProgram('curl')) === undefined) {
			return lacks('curl is not installed');
		}

		const url = release.url.replaceAll('VERSION', version);
		const checksumUrl = release.checksumUrl.replaceAll('VERSION', version);
		const checksums = path.join(work.scratch, 'checksums');
		const archive = path.join(work.scratch, 'release');
		work.progress(`asking for ${checksumUrl}`);
		await download(checksumUrl, checksums, work, 60);
		const wanted = publishedChecksum(await readFile(checksums, 'utf8'), path.posix.basename(new URL(url).pathname));
		if (wanted === undefined) {
			return lacks(`${checksumUrl} has no sha256 of ${url}`);
		}

		work.progress(`downloading ${url}`);
		await download(url, archive, work, 3600);
		const found = await digestFile(archive);
		if (found !== wanted) {
			throw failure.checksumMismatch(url, wanted, found, checksumUrl);
		}

		for (const {name} of programs) {
			const inside = release.paths[name];
			if (inside === undefined) {
				return lacks(`the release has no ${name}`);
			}

			const target = path.join(work.out, name);
			if (inside === '') {
				await copyFile(archive, target);
			} else {
				// tar finds the compression by itself; a member's folders are left behind.
				await run('tar', ['--extract', '--file', archive, '--directory', work.out, '--no-same-owner', `--transform=s,.*,${name},`, inside.replaceAll('VERSION', version)], {log: work.log, signal: work.signal});
			}

			await chmod(target, 0o755);
		}

		return {delivered: true, origin: `${url} sha256:${wanted}`};
	},
};

async function download(url: string, file: string, work: StageWork, seconds: number): Promise<void> {
	await run('curl', [
		'--fail', '--silent', '--show-error', '--location', '--proto', '=https,http', '--connect-timeout', String(connectTimeout),
		'--speed-limit', '1024', '--speed-time', '30', '--max-time', String(seconds), '--output', file, url,
	], {log: work.log, signal: work.signal});
}

/** The sha256 of a file in a checksum file: lines of `HEX  NAME` (sha256sum(1)), or nothing but one HEX. */
export function publishedChecksum(text: string, name: string): string | undefined {
	for (const line of text.split('\n')) {
		const [hex, file] = line.trim().split(/\s+\*?/);
		if (hex !== undefined && /^[\da-f]{64}$/i.test(hex) && (file === undefined || path.posix.basename(file) === name)) {
			return hex.toLowerCase();
		}
	}

	return undefined;
}
