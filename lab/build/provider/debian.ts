/** The provider of Debian packages, from the mirror that the host is configured for. Nothing is installed on the host. */
import {mkdir, readdir, rename, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {digestFile} from '../../host/digest.ts';
import {failure} from '../../host/failure.ts';
import {findProgram, run, type RunResult} from '../../host/program.ts';
import {asReason, type Delivery, type ProviderRequest} from './provider.ts';

/**
 * Downloads the package and takes the programs out of it. apt checks it against the mirror's signature.
 *
 * @throws `not-provided`: no apt here, no such package, or at another version than the pinned one
 */
export async function provideFromDebian(request: ProviderRequest): Promise<Delivery> {
	const {component: {debian}} = request;
	if (debian === undefined) {
		throw failure.notProvided('debian', 'the overlay names no Debian package');
	}

	const missing = (await Promise.all(['apt-get', 'dpkg-deb'].map(async (program) => (await findProgram(program) === undefined ? [program] : [])))).flat();
	if (missing.length > 0) {
		throw failure.notProvided('debian', `${missing.join(' and ')} is not installed: this is no Debian or Ubuntu`);
	}

	try {
		return await fetchPackage(request, debian);
	} catch (error) {
		throw error instanceof Error && 'code' in error && error.code === 'not-provided' ? error : asReason('debian', error, (lines) => lines.find((line) => line.startsWith('E: ')) ?? '');
	}
}

async function fetchPackage({component, out, scratch, signal, log, progress}: ProviderRequest, {package: name, paths}: NonNullable<ProviderRequest['component']['debian']>): Promise<Delivery> {
	const {version, anyDebianVersion = false, programs} = component;
	const apt = await privateApt(scratch, {signal, log});
	progress(`asking the Debian mirror for ${name}`);
	await apt('apt-get', ['update', '--quiet=2']);
	const {stdout} = await apt('apt-cache', ['policy', name]);
	const candidate = /^ {2}Candidate: (\S+)$/m.exec(stdout)?.[1];
	if (candidate === undefined || candidate === '(none)') {
		throw failure.notProvided('debian', `the mirror has no package ${name}`);
	}

	const found = upstreamVersion(candidate);
	if (!anyDebianVersion && found !== version) {
		throw failure.notProvided('debian', `the mirror has ${name} ${candidate}, which is not ${version}`);
	}

	await apt('apt-get', ['download', '--quiet=2', `${name}=${candidate}`]);
	const archive = path.join(scratch, (await readdir(scratch)).find((file) => file.endsWith('.deb'))!);
	const content = path.join(scratch, 'content');
	await run('dpkg-deb', ['--extract', archive, content], {signal, log});
	for (const {name: program} of programs) {
		const inside = path.join(content, paths[program] ?? program);
		if (await findProgram(inside) === undefined) {
			throw failure.notProvided('debian', `${name} ${candidate} has no program ${paths[program] ?? program}`);
		}

		await rename(inside, path.join(out, program));
	}

	return {version: found, sources: {[`${name} ${candidate}`]: await digestFile(archive)}};
}

type Apt = (program: 'apt-get' | 'apt-cache', args: readonly string[]) => Promise<RunResult>;

/** apt with the host's sources and keys, and lists and caches of its own: an ordinary user may not write the host's, and those of a fresh host are empty. */
async function privateApt(scratch: string, options: {signal: AbortSignal; log: string}): Promise<Apt> {
	const [state, cache, status] = ['state', 'cache', 'status'].map((name) => path.join(scratch, name)) as [string, string, string];
	await Promise.all([path.join(state, 'lists/partial'), path.join(cache, 'archives/partial')].map(async (folder) => mkdir(folder, {recursive: true})));
	await writeFile(status, '');
	const settings = {
		'Dir::State': state, 'Dir::State::lists': path.join(state, 'lists'), 'Dir::State::status': status, 'Dir::Cache': cache,
		'Acquire::Languages': 'none', 'Acquire::Retries': '2', 'Acquire::http::Timeout': '20', 'Acquire::https::Timeout': '20',
		// apt as root would become another user, who may not read our scratch.
		'APT::Sandbox::User': 'root',
		'APT::Update::Error-Mode': 'any',
		// Hooks are for the host's own lists.
		'APT::Update::Post-Invoke-Success::': '', 'APT::Update::Post-Invoke::': '',
	};
	const words = Object.entries(settings).map(([name, value]) => `--option=${name}=${value}`);
	return async (program, args) => run(program, [...words, ...args], {...options, cwd: scratch});
}

/** The upstream part of a Debian version: `1:1.1.1+ds1-3+b2` is of 1.1.1 (deb-version(7)); pure. */
export function upstreamVersion(version: string): string {
	return version.replace(/^\d+:/, '').replace(/-[^-]*$/, '').replace(/[+~](?:ds|dfsg|really|git|repack).*$/, '');
}
