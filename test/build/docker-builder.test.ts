import {mkdir} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {buildWithDocker} from '../../lab/build/docker-builder.ts';
import {imageRequest} from '../../lab/build/image.ts';
import {failure} from '../../lab/host/failure.ts';
import {FakeDaemon, withDaemon} from '../rig/docker-daemon.ts';

const request = imageRequest({image: {summary: 'for tests', release: 'bookworm', kernel: 'linux-image-cloud-amd64', packages: [], bootModules: []}, packages: []}, {sources: [], settings: []});

test.serial('an interruption while the image of the builder is pulled ends the pulling', async (t) => {
	const daemon = new FakeDaemon();
	await withDaemon(daemon, async ({folder}) => {
		const controller = new AbortController();
		daemon.onStuckPull = () => {
			controller.abort(failure.interrupted('SIGINT'));
		};

		const [configuration, results] = [path.join(folder, 'configuration'), path.join(folder, 'results')];
		await Promise.all([mkdir(configuration), mkdir(results)]);
		const work = {key: 'a'.repeat(64), out: folder, scratch: folder, signal: controller.signal, log: path.join(folder, 'log'), progress() {}};
		await t.throwsAsync(buildWithDocker(request, configuration, results, work), {code: 'interrupted'});
		await daemon.cutOff;
		t.true(daemon.asked.some((line) => line.startsWith('POST /images/create')));
	});
});

test.serial('a log that cannot be written ends the build, and its container goes', async (t) => {
	const daemon = new FakeDaemon({'debian:bookworm': 'sha256:one'});
	daemon.output = 'I: downloading packages files...\n';
	await withDaemon(daemon, async ({folder}) => {
		const [configuration, results] = [path.join(folder, 'configuration'), path.join(folder, 'results')];
		await Promise.all([mkdir(configuration), mkdir(results)]);
		// A device that is always full: full(4).
		const work = {key: 'a'.repeat(64), out: folder, scratch: folder, signal: new AbortController().signal, log: '/dev/full', progress() {}};
		await t.throwsAsync(buildWithDocker(request, configuration, results, work), {code: 'ENOSPC'});
		t.true(daemon.asked.some((line) => /^POST .*\/start$/.test(line)));
		t.deepEqual([...daemon.containers.keys()], []);
	});
});
