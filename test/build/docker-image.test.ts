import {readdir, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {imageId, saveImage} from '../../lab/build/docker-image.ts';
import {failure} from '../../lab/host/failure.ts';
import {FakeDaemon, withDaemon} from '../rig/docker-daemon.ts';

const reference = 'registry.example.org/tools/server:1.0';
const working = new AbortController().signal;

test.serial('an image that the daemon has is saved', async (t) => {
	const daemon = new FakeDaemon({[reference]: 'sha256:one'});
	await withDaemon(daemon, async ({folder}) => {
		const said: string[] = [];
		await saveImage(reference, path.join(folder, 'saved'), {signal: working, progress: (text) => said.push(text)});
		t.is(await readFile(path.join(folder, 'saved'), 'utf8'), 'the bytes of sha256:one');
		t.deepEqual(said, [`docker save ${reference}`]);
		t.false(daemon.asked.some((line) => line.startsWith('POST')));
	});
});

test.serial('an image that the daemon does not have is pulled first', async (t) => {
	await withDaemon(new FakeDaemon({}, {[reference]: 'sha256:two'}), async ({folder}) => {
		const said: string[] = [];
		await saveImage(reference, path.join(folder, 'saved'), {signal: working, progress: (text) => said.push(text)});
		t.is(await readFile(path.join(folder, 'saved'), 'utf8'), 'the bytes of sha256:two');
		t.deepEqual(said, [`docker pull ${reference}`, `docker save ${reference}`]);
	});
});

test.serial('an image that cannot be pulled is missing, with the daemon\'s words', async (t) => {
	await withDaemon(new FakeDaemon(), async ({folder}) => {
		await t.throwsAsync(saveImage(reference, path.join(folder, 'saved'), {signal: working, progress() {}}), {code: 'container-image-missing', message: /cannot pull it: .*pull access denied/});
	});
});

test.serial('an interruption while saving is told as one', async (t) => {
	await withDaemon(new FakeDaemon({[reference]: 'sha256:one'}), async ({folder}) => {
		const controller = new AbortController();
		const saving = saveImage(reference, path.join(folder, 'saved'), {
			signal: controller.signal,
			progress() {
				controller.abort(failure.interrupted('SIGINT'));
			},
		});
		await t.throwsAsync(saving, {code: 'interrupted'});
	});
});

test.serial('the id of an image is the daemon\'s; the last known one where none answers', async (t) => {
	const daemon = new FakeDaemon({[reference]: 'sha256:one'});
	await withDaemon(daemon, async ({folder, stop}) => {
		t.is(await imageId('never/seen:1'), undefined);
		t.is(await imageId(reference), 'sha256:one');
		daemon.images.set(reference, 'sha256:moved');
		t.is(await imageId(reference), 'sha256:moved');
		daemon.images.clear();
		t.is(await imageId(reference), 'sha256:moved', 'removed from the daemon, but perhaps still in the store');
		await stop();
		t.is(await imageId(reference), 'sha256:moved');
		await writeFile(path.join(folder, 'cache/docker-images.json'), 'no JSON');
		t.is(await imageId(reference), undefined);
	});
});

test.serial('the ids of images that are asked for at once are all known afterwards', async (t) => {
	const references = Array.from({length: 8}, (_, index) => `registry.example.org/tools/server:${index}`);
	await withDaemon(new FakeDaemon(Object.fromEntries(references.map((each) => [each, `sha256:${each}`]))), async ({folder, stop}) => {
		await Promise.all(references.map(imageId));
		await stop();
		t.deepEqual(await Promise.all(references.map(imageId)), references.map((each) => `sha256:${each}`));
		t.deepEqual((await readdir(path.join(folder, 'cache'))).sort(), ['docker-images.json', 'locks']);
	});
});

test.serial('an interruption while the daemon pulls ends the pulling', async (t) => {
	const daemon = new FakeDaemon();
	await withDaemon(daemon, async ({folder}) => {
		const controller = new AbortController();
		daemon.onStuckPull = () => {
			controller.abort(failure.interrupted('SIGINT'));
		};

		await t.throwsAsync(saveImage(reference, path.join(folder, 'saved'), {signal: controller.signal, progress() {}}), {code: 'interrupted'});
		await daemon.cutOff;
		t.pass('the daemon saw the end of the request');
	});
});

test.serial('what the daemon reports as an error while it pulls is told', async (t) => {
	const daemon = new FakeDaemon();
	daemon.pullError = 'toomanyrequests: You have reached your pull rate limit';
	await withDaemon(daemon, async ({folder}) => {
		await t.throwsAsync(saveImage(reference, path.join(folder, 'saved'), {signal: working, progress() {}}), {code: 'container-image-missing', message: /pull rate limit/});
	});
});
