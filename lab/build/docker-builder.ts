/** The builder for hosts that have no mmdebstrap: it runs in a container of a Debian image, and does there what it would do here. */
import {createReadStream, createWriteStream} from 'node:fs';
import {appendFile, readdir, readFile, stat} from 'node:fs/promises';
import path from 'node:path';
import {PassThrough, Readable} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import Docker from 'dockerode';
import tar from 'tar-stream';
import {digestFile, digestOf} from '../host/digest.ts';
import {LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {packageFolder} from '../host/folder.ts';
import {interruption} from '../host/interruption.ts';
import {saysDiskFull} from '../store/full-disk.ts';
import type {StageWork} from '../store/store.ts';
import {followProgress, pullImage} from './docker-pull.ts';
import {readAptSources} from './image-sources.ts';
import {explainRootfs, hookFolder, type RootfsBuilder, rootfsCommand, rootfsEnvironment, type RootfsFolders, rootfsStep} from './rootfs.ts';

/** In the container. */
const folders: RootfsFolders = {configuration: '/vmlab/configuration', hook: `/vmlab/configuration/${hookFolder}`, results: '/vmlab/results'};
const script = 'container-rootfs.sh';

/** How we know our containers again: the label's value says of which stage, in which store. */
const label = 'vmlab.image-builder';

/** How many of the last lines of the container's output are looked through for what went wrong. */
const shownLines = 40;

/** Handed on to the container, where a proxy is needed to get out. */
const proxyVariables = ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];

/** Does a Docker daemon answer (DOCKER_HOST, or the default socket)? */
export async function canRunDocker(): Promise<boolean> {
	return new Docker().ping().then(() => true, () => false);
}

/**
 * Builds in a container, which may mount (mmdebstrap does), is in the host's network (as the mirror of the host's
 * configuration may be reachable from nowhere else), and is removed whatever happens. Files go in and out as archives, so that a
 * daemon elsewhere serves as well.
 *
 * @throws `docker-failed`, `image-failed`
 */
export const buildWithDocker: RootfsBuilder = async (request, configuration, results, work) => {
	const docker = new Docker();
	// Of this stage in this store: others' builds go on beside it.
	const store = digestOf([path.dirname(work.log), work.key]);
	try {
		await removeContainers(docker, store);
		const image = await debianImage(docker, request.release, work);
		const container = await docker.createContainer({
			Image: image,
			Cmd: ['sh', `${folders.configuration}/${script}`, ...rootfsCommand(request, 'root', folders)],
			Env: Object.entries({...rootfsEnvironment, ...proxies()}).map(([name, value]) => `${name}=${value}`),
			Labels: {[label]: store},
			HostConfig: {
				// What mounting takes, and no more: not all the rights of a privileged container, which some daemons have none to give of.
				CapAdd: ['SYS_ADMIN'],
				SecurityOpt: ['seccomp=unconfined', 'apparmor=unconfined'],
				// With parts of /proc hidden, the kernel lets nobody mount another.
				MaskedPaths: [],
				ReadonlyPaths: [],
				NetworkMode: 'host',
				Init: true,
			},
		});
		await container.putArchive(await packConfiguration(configuration), {path: '/', abortSignal: work.signal});
		const lines = await runContainer(container, work);
		if (lines !== undefined) {
			throw explainRootfs(failure.programFailed('mmdebstrap (in a container)', 'failed', lines, work.log), request);
		}

		await unpackResults(await container.getArchive({path: folders.results}), results, work.signal);
	} catch (error) {
		throw explainDocker(error, work);
	} finally {
		await removeContainers(docker, store).catch(() => {});
	}
};

function proxies(): Record<string, string> {
	return Object.fromEntries(proxyVariables.flatMap((name) => {
		const value = process.env[name];
		return value === undefined || value === '' ? [] : [[name, value]];
	}));
}

/** Also those of a build that was killed: whoever works on this store now holds the lock of the image. */
async function removeContainers(docker: Docker, store: string): Promise<void> {
	const containers = await docker.listContainers({all: true, filters: {label: [`${label}=${store}`]}});
	await Promise.all(containers.map(async ({Id}) => docker.getContainer(Id).remove({force: true, v: true})));
}

/** The image to run: what `VMLAB_DEBIAN_IMAGE` names (the archive of a root filesystem, or a reference), else Debian's own. */
async function debianImage(docker: Docker, release: string, work: StageWork): Promise<string> {
	const named = process.env['VMLAB_DEBIAN_IMAGE'] || undefined;
	if (named !== undefined && await stat(named).then((found) => found.isFile(), () => false)) {
		const reference = `vmlab-debian:${(await digestFile(named)).slice(0, 16)}`;
		if (!await hasImage(docker, reference)) {
			work.progress(`importing ${path.basename(named)} into Docker`);
			const [repo, tag] = reference.split(':') as [string, string];
			await followProgress(docker, await docker.importImage(createReadStream(named) as unknown as string, {repo, tag, abortSignal: work.signal}), work.signal);
		}

		return reference;
	}

	const reference = named ?? `debian:${release}`;
	if (!await hasImage(docker, reference)) {
		work.progress(`pulling ${reference}`);
		try {
			await pullImage(docker, reference, work.signal);
		} catch (error) {
			throw work.signal.aborted ? error : failure.dockerFailed(
				`could not pull ${reference}`, [error instanceof Error ? error.message : String(error)],
				'Where no registry is to be reached, name the archive of a Debian root filesystem with VMLAB_DEBIAN_IMAGE.', work.log, error,
			);
		}
	}

	return reference;
}

async function hasImage(docker: Docker, reference: string): Promise<boolean> {
	return docker.getImage(reference).inspect().then(() => true, () => false);
}

async function packConfiguration(configuration: string): Promise<NodeJS.ReadableStream> {
	const pack = tar.pack();
	for (const entry of await readdir(configuration, {recursive: true, withFileTypes: true})) {
		if (entry.isFile()) {
			const file = path.join(entry.parentPath, entry.name);
			pack.entry({name: `vmlab/configuration/${path.relative(configuration, file)}`, mode: 0o644}, await readFile(file));
		}
	}

	pack.entry({name: `vmlab/configuration/${script}`, mode: 0o644}, await readFile(path.join(packageFolder, 'lab/build', script)));
	// The container's own release may be another than the image's.
	pack.entry({name: 'vmlab/configuration/container.list', mode: 0o644}, (await readAptSources('@RELEASE@')).sources.map((line) => `${line}\n`).join(''));
	pack.entry({name: 'vmlab/results', type: 'directory', mode: 0o755});
	pack.finalize();
	return Readable.from(pack);
}

/** Runs the container to its end, its output into the log. Returns the last lines when it failed. */
async function runContainer(container: Docker.Container, work: StageWork): Promise<readonly string[] | undefined> {
	const stream = await container.attach({stream: true, stdout: true, stderr: true});
	const output = new PassThrough();
	container.modem.demuxStream(stream, output, output);
	stream.once('end', () => output.end());
	const reading = readOutput(output, work);
	// It is awaited below; where the container cannot even be started nobody asks any more how it went.
	reading.catch(() => {});
	const stop = (): void => {
		void container.kill().catch(() => {});
	};

	work.signal.addEventListener('abort', stop, {once: true});
	try {
		work.signal.throwIfAborted();
		await container.start();
		// Output that cannot be written down ends the build at once: the container goes on, and is removed by whoever ran it.
		const [{StatusCode: code}, lines] = await Promise.all([container.wait() as Promise<{StatusCode: number}>, reading]);
		work.signal.throwIfAborted();
		return code === 0 ? undefined : [...lines, `exit code ${code}`];
	} finally {
		work.signal.removeEventListener('abort', stop);
	}
}

async function readOutput(output: Readable, work: StageWork): Promise<readonly string[]> {
	const last: string[] = [];
	let rest = '';
	for await (const chunk of output) {
		await appendFile(work.log, chunk as Buffer);
		const lines = (rest + String(chunk)).split('\n');
		rest = lines.pop() ?? '';
		for (const line of lines.map((each) => each.trimEnd()).filter((each) => each !== '')) {
			last.push(line);
			if (last.length > shownLines) {
				last.shift();
			}

			const step = rootfsStep(line);
			if (step !== undefined) {
				work.progress(step);
			}
		}
	}

	return last;
}

/** The daemon's archive has the results below one folder. */
async function unpackResults(archive: NodeJS.ReadableStream, folder: string, signal: AbortSignal): Promise<void> {
	const extract = tar.extract();
	extract.on('entry', (header, content, next) => {
		if (header.type === 'file') {
			pipeline(content, createWriteStream(path.join(folder, path.posix.basename(header.name)))).then(() => next(), next);
		} else {
			content.resume();
			content.once('end', () => next());
		}
	});
	await pipeline(archive, extract, {signal});
}

function explainDocker(error: unknown, work: StageWork): unknown {
	if (work.signal.aborted) {
		return interruption(work.signal);
	}

	// A full disk is none of the daemon's faults: the store tells it.
	if (error instanceof LabError || saysDiskFull(error)) {
		return error;
	}

	return failure.dockerFailed(
		'could not build the image', [error instanceof Error ? error.message : String(error)],
		'Is the daemon running, and may this user use it? `docker info` tells.', work.log, error,
	);
}
