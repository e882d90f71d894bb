/** Container images of the local Docker daemon: pulled where it does not have them and there is a network, then saved. */
import {createWriteStream} from 'node:fs';
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import {pipeline} from 'node:stream/promises';
import Docker from 'dockerode';
import {failure} from '../host/failure.ts';
import {folders} from '../host/folder.ts';
import {interruption} from '../host/interruption.ts';
import {withLock} from '../host/lock.ts';
import {writeFileWhole} from '../host/whole-file.ts';
import {lockOf} from '../store/scratch.ts';
import type {StageWork} from '../store/store.ts';
import {pullImage} from './docker-pull.ts';

/** How long the daemon may take to say what it has, in milliseconds. */
const patience = 5000;

/**
 * The id of an image (`sha256:HEX`) as the daemon has it now: a tag may move, and this tells when it did. Where no daemon
 * answers, or it does not have the image any more, the id that it had when it was last asked, so that what was saved then is
 * still found; undefined where it never had one.
 */
export async function imageId(reference: string): Promise<string | undefined> {
	const file = path.join(folders().cache, 'docker-images.json');
	const known = await readKnown(file);
	let id: string;
	try {
		id = (await new Docker({timeout: patience}).getImage(reference).inspect()).Id;
	} catch {
		return known[reference];
	}

	if (known[reference] !== id) {
		// Others ask for other images at the same time, in this process too, and none of what they learn may be lost.
		await withLock(lockOf(folders().cache, 'docker-images'), async () => {
			await writeFileWhole(file, JSON.stringify({...await readKnown(file), [reference]: id}), 0o644);
		});
	}

	return id;
}

async function readKnown(file: string): Promise<Record<string, string>> {
	try {
		return JSON.parse(await readFile(file, 'utf8')) as Record<string, string>;
	} catch {
		return {};
	}
}

/**
 * Writes an image to a file, as `docker save` does.
 *
 * @throws `container-image-missing` when there is no daemon, or it neither has the image nor can pull it; `interrupted`
 */
export async function saveImage(reference: string, file: string, {signal, progress}: Pick<StageWork, 'signal' | 'progress'>): Promise<void> {
	const docker = new Docker();
	const image = docker.getImage(reference);
	try {
		await image.inspect();
	} catch (error) {
		if (statusOf(error) !== 404) {
			throw noDaemon(reference, error);
		}

		progress(`docker pull ${reference}`);
		await pull(docker, reference, signal);
	}

	progress(`docker save ${reference}`);
	try {
		await pipeline(await image.get(), createWriteStream(file), {signal});
	} catch (error) {
		throw signal.aborted ? interruption(signal) : error;
	}
}

async function pull(docker: Docker, reference: string, signal: AbortSignal): Promise<void> {
	try {
		await pullImage(docker, reference, signal);
	} catch (error) {
		throw signal.aborted ? interruption(signal) : failure.containerImageMissing(
			reference, `the Docker daemon does not have it and cannot pull it: ${words(error)}`,
			`Load it into Docker (\`docker load\`), or give it as a file.`, [], error,
		);
	}
}

function noDaemon(reference: string, error: unknown): Error {
	return failure.containerImageMissing(reference, `no Docker daemon answers: ${words(error)}`, 'Start Docker (or set DOCKER_HOST, or join the group docker), or give the image as a file.', [], error);
}

function statusOf(error: unknown): number | undefined {
	return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : undefined;
}

function words(error: unknown): string {
	return error instanceof Error ? error.message.replaceAll(/\s+/g, ' ').trim() : String(error);
}
