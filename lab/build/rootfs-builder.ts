/** Who makes root filesystems on this host: mmdebstrap itself, or mmdebstrap in a container. */
import {mkdir} from 'node:fs/promises';
import path from 'node:path';
import {failure} from '../host/failure.ts';
import type {StageWork} from '../store/store.ts';
import {buildWithMmdebstrap, canRunMmdebstrap, type RootfsBuilder, type RootfsRequest, writeConfiguration} from './rootfs.ts';

/** The builders that `VMLAB_IMAGE_BUILDER` may name. */
const builderNames = ['mmdebstrap', 'docker'];

/**
 * Makes what is wanted of a root filesystem.
 *
 * @returns the folder with the request's results, in the scratch of the work
 * @throws the request's own failure, `no-image-builder`, `docker-failed`, `unknown-name`, and what `run` throws
 */
export async function buildRootfs(request: RootfsRequest, work: StageWork): Promise<string> {
	const build = await chooseBuilder(work.signal);
	const configuration = path.join(work.scratch, 'configuration');
	const results = path.join(work.scratch, 'results');
	await Promise.all([writeConfiguration(configuration, request), mkdir(results)]);
	await build(request, configuration, results, work);
	return results;
}

/** The builder that was asked for, or the first that works here. */
async function chooseBuilder(signal: AbortSignal): Promise<RootfsBuilder> {
	const asked = process.env['VMLAB_IMAGE_BUILDER'];
	if (asked !== undefined && asked !== '' && !builderNames.includes(asked)) {
		throw failure.unknownName('image builder', asked, builderNames);
	}

	if (asked === 'mmdebstrap' || (asked !== 'docker' && await canRunMmdebstrap(signal))) {
		return buildWithMmdebstrap;
	}

	const {buildWithDocker, canRunDocker} = await import('./docker-builder.ts');
	if (asked === 'docker' || await canRunDocker()) {
		return buildWithDocker;
	}

	throw failure.noImageBuilder();
}
