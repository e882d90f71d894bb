/** The provider of release downloads: what the project itself publishes, checked against the checksum that it publishes. */
import {mkdir, readFile, rename} from 'node:fs/promises';
import path from 'node:path';
import {digestFile} from '../../host/digest.ts';
import {failure} from '../../host/failure.ts';
import {run} from '../../host/program.ts';
import {download} from './download.ts';
import {asReason, type Delivery, type ProviderRequest, withVersion} from './provider.ts';

/** No file of checksums is larger, in bytes. */
const largestChecksumFile = 1024 * 1024;

/**
 * Downloads the release and takes the programs out of it.
 *
 * @throws `not-provided` when it cannot be downloaded, `checksum-mismatch` when it is not what was published
 */
export async function provideFromRelease(request: ProviderRequest): Promise<Delivery> {
	const {component: {release, version, programs}, out, scratch, signal, log, progress} = request;
	if (release === undefined) {
		throw failure.notProvided('release', 'the overlay names no release download');
	}

	const url = withVersion(release.url, version);
	const checksumUrl = withVersion(release.checksumUrl, version);
	const [archive, checksums] = [path.join(scratch, 'release'), path.join(scratch, 'checksums')];
	let wanted: string | undefined;
	try {
		progress(`release download from ${new URL(url).host}`);
		// The small file first: where there is no network, or no such version, it is known at once.
		await download(checksumUrl, checksums, {signal, log, largest: largestChecksumFile});
		wanted = publishedSum(await readFile(checksums, 'utf8'), path.posix.basename(new URL(url).pathname));
		if (wanted === undefined) {
			throw failure.notProvided('release', `${checksumUrl} has no sha256 of the download`);
		}

		await download(url, archive, {signal, log});
	} catch (error) {
		throw error instanceof Error && 'code' in error && error.code === 'not-provided' ? error : asReason('release', error);
	}

	const found = await digestFile(archive);
	if (found !== wanted) {
		throw failure.checksumMismatch(url, wanted, found, checksumUrl);
	}

	const wholeFile = programs.find(({name}) => release.paths[name] === '');
	try {
		await (wholeFile === undefined ? unpack(request, archive) : rename(archive, path.join(out, wholeFile.name)));
	} catch (error) {
		throw asReason('release', error);
	}

	return {version, sources: {[url]: found}};
}

/** The sha256 of a file: from lines of `HEX  NAME` (sha256sum(1)), or from a file that is one HEX and nothing else; pure. */
export function publishedSum(text: string, file: string): string | undefined {
	const lines = text.split('\n').map((line) => line.trim()).filter((line) => line !== '');
	const sums = lines.flatMap((line) => {
		const match = /^([\da-f]{64})(?:\s+\*?(.+))?$/i.exec(line);
		return match === null ? [] : [{sum: match[1]!.toLowerCase(), name: match[2]}];
	});
	return (sums.find(({name}) => name !== undefined && path.posix.basename(name) === file) ?? (sums.length === 1 && sums[0]!.name === undefined ? sums[0] : undefined))?.sum;
}

/** Takes the programs out of a tar archive, whatever its compression, whether its names begin with `./` or not. */
async function unpack({component: {release, version, programs}, out, scratch, signal, log}: ProviderRequest, archive: string): Promise<void> {
	const members = (await run('tar', ['--list', '--file', archive], {signal})).stdout.split('\n');
	const wanted = programs.map(({name}) => {
		const inside = path.posix.normalize(withVersion(release?.paths[name] ?? name, version));
		return {name, inside, member: members.find((member) => path.posix.normalize(member) === inside)};
	});
	const missing = wanted.filter(({member}) => member === undefined);
	if (missing.length > 0) {
		throw failure.notProvided('release', `the archive has no ${missing.map(({inside}) => inside).join(', ')}`);
	}

	const content = path.join(scratch, 'content');
	await mkdir(content);
	await run('tar', ['--extract', '--file', archive, '--directory', content, '--no-same-owner', '--', ...wanted.map(({member}) => member!)], {signal, log});
	for (const {name, inside} of wanted) {
		await rename(path.join(content, inside), path.join(out, name));
	}
}
