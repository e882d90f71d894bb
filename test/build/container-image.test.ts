import {createHash} from 'node:crypto';
import {mkdir, readdir, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {makeContainerImage} from '../../lab/build/container-image.ts';
import {wholeReference} from '../../lab/spec/image-reference.ts';
import {digestFile} from '../../lab/host/digest.ts';
import type {LabError} from '../../lab/host/error.ts';
import {run} from '../../lab/host/program.ts';
import type {ContainerImageDeclaration} from '../../lab/spec/component.ts';
import type {MadeStage} from '../../lab/store/store.ts';
import {withStageWork} from '../rig/stage-work.ts';

const reference = 'registry.example.org/tools/server:1.0';

const recipe: ContainerImageDeclaration = {
	reference,
	source: {
		component: 'server', programs: {server: '/usr/bin/server'}, links: {'/bin/sh': '/usr/bin/server'},
		entrypoint: ['/usr/bin/server'], command: ['run'], environment: {MODE: 'test'}, user: '65535:65535',
	},
};

interface Opened {
	readonly index: {manifests: Array<{digest: string; annotations: Record<string, string>}>};
	readonly manifest: {config: {digest: string}; layers: Array<{digest: string; mediaType: string}>};
	readonly config: {config: Record<string, unknown>; rootfs: {diff_ids: string[]}};
	readonly blobs: string[];
	/** `tar --list --verbose` of the first layer. */
	readonly layer: string[];
	readonly digest: string;
}

/** Makes an image in a fresh folder; `prepare` may put files there first. */
async function make(image: ContainerImageDeclaration | ((folder: string) => Promise<ContainerImageDeclaration>)): Promise<Opened> {
	return withStageWork(async (work) => {
		const made: MadeStage = {name: 'component server', key: '', folder: path.join(work.folder, 'component'), digest: '', madeAt: 0, seconds: 0, bytes: 0};
		await mkdir(made.folder);
		await writeFile(path.join(made.folder, 'server'), 'program', {mode: 0o500});
		await makeContainerImage({kind: 'container-image', image: typeof image === 'function' ? await image(work.folder) : image, from: made.name}, new Map([[made.name, made]]), work);
		return open(path.join(work.out, 'image.tar'), work.folder);
	});
}

async function open(file: string, folder: string): Promise<Opened> {
	const content = path.join(folder, 'opened');
	await mkdir(content);
	await run('tar', ['--extract', '--file', file, '--directory', content]);
	const read = async (name: string): Promise<any> => JSON.parse(await readFile(path.join(content, name), 'utf8'));
	const blob = (digest: string): string => `blobs/${digest.replace(':', '/')}`;
	const index = await read('index.json');
	const manifest = await read(blob(index.manifests[0].digest));
	const {stdout} = await run('tar', ['--list', '--verbose', '--numeric-owner', '--file', path.join(content, blob(manifest.layers[0].digest))], {env: {TZ: 'UTC'}});
	return {
		index, manifest, config: await read(blob(manifest.config.digest)), blobs: await readdir(path.join(content, 'blobs/sha256')),
		layer: stdout.split('\n').map((line) => line.replaceAll(/\s+/g, ' ')), digest: await digestFile(file),
	};
}

test('a recipe becomes an image of one layer, under the name that it is to have', async (t) => {
	const image = await make(recipe);
	t.is(image.index.manifests.length, 1);
	t.deepEqual(image.index.manifests[0]!.annotations, {'io.containerd.image.name': reference, 'org.opencontainers.image.ref.name': reference});
	t.like(image.config.config, {Entrypoint: ['/usr/bin/server'], Cmd: ['run'], User: '65535:65535'});
	t.deepEqual(image.config.config['Env'], ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'MODE=test']);
	t.deepEqual(image.config.rootfs.diff_ids, [image.manifest.layers[0]!.digest]);
	t.deepEqual(image.layer, [
		'drwxr-xr-x 0/0 0 2023-11-14 22:13 bin/',
		'lrwxrwxrwx 0/0 0 2023-11-14 22:13 bin/sh -> /usr/bin/server',
		'drwxr-xr-x 0/0 0 2023-11-14 22:13 usr/',
		'drwxr-xr-x 0/0 0 2023-11-14 22:13 usr/bin/',
		'-rwxr-xr-x 0/0 7 2023-11-14 22:13 usr/bin/server',
	]);
});

test('the same recipe gives the same bytes', async (t) => {
	t.is((await make(recipe)).digest, (await make(recipe)).digest);
});

/** What Docker 20 writes: manifest.json, a config, and each layer in a folder of its own; the second is a link to the first. */
async function saveAsDocker(folder: string, tags: readonly string[], damage = ''): Promise<string> {
	const saved = path.join(folder, 'saved');
	await mkdir(path.join(saved, 'layer1'), {recursive: true});
	await mkdir(path.join(saved, 'layer2'));
	await writeFile(path.join(saved, 'file'), 'hello');
	await run('tar', ['--create', '--file', path.join(saved, 'layer1/layer.tar'), '--directory', saved, 'file']);
	await run('ln', ['-s', '../layer1/layer.tar', path.join(saved, 'layer2/layer.tar')]);
	const diff = `sha256:${await digestFile(path.join(saved, 'layer1/layer.tar'))}`;
	await writeFile(path.join(saved, 'config.json'), JSON.stringify({architecture: 'amd64', os: 'linux', config: {Cmd: ['x']}, rootfs: {type: 'layers', diff_ids: [diff, damage || diff]}}));
	await writeFile(path.join(saved, 'manifest.json'), JSON.stringify([{Config: 'config.json', RepoTags: tags, Layers: ['layer1/layer.tar', 'layer2/layer.tar']}]));
	await run('tar', ['--create', '--gzip', '--file', path.join(folder, 'saved.tar'), '--directory', saved, 'manifest.json', 'config.json', 'layer1', 'layer2']);
	return path.join(folder, 'saved.tar');
}

test('an archive that docker saved becomes a layout with the name that was asked for', async (t) => {
	const image = await make(async (folder) => ({reference, source: {file: await saveAsDocker(folder, ['something/else:2'])}}));
	t.is(image.index.manifests[0]!.annotations['io.containerd.image.name'], reference);
	t.is(image.manifest.layers.length, 2);
	t.is(image.blobs.length, 3, 'a layer that occurs twice is there once');
	t.deepEqual(image.layer.map((line) => line.split(' ').at(-1)), ['file']);
});

test('a layout is taken as it is, under the name that was asked for', async (t) => {
	const again = await make(async (folder) => {
		const first = await withStageWork(async (work) => {
			await mkdir(path.join(work.folder, 'c'));
			await writeFile(path.join(work.folder, 'c/server'), 'program');
			await makeContainerImage({kind: 'container-image', image: recipe, from: 'c'}, new Map([['c', {name: 'c', key: '', folder: path.join(work.folder, 'c'), digest: '', madeAt: 0, seconds: 0, bytes: 0}]]), work);
			return readFile(path.join(work.out, 'image.tar'));
		});
		await writeFile(path.join(folder, 'first.tar'), first);
		return {reference: 'renamed:3', source: {file: path.join(folder, 'first.tar')}};
	});
	t.is(again.index.manifests[0]!.annotations['io.containerd.image.name'], 'docker.io/library/renamed:3');
	t.is(again.index.manifests[0]!.digest, (await make(recipe)).index.manifests[0]!.digest);
});

test('a damaged archive is refused, and so is one that is none', async (t) => {
	const wrong = `sha256:${createHash('sha256').update('other').digest('hex')}`;
	const damaged = await t.throwsAsync(make(async (folder) => ({reference, source: {file: await saveAsDocker(folder, [], wrong)}})), {code: 'container-image-missing'}) as unknown as LabError;
	t.is(damaged.exitCode, 5);
	t.regex(damaged.message, /is damaged: layer 2/);
	await t.throwsAsync(make(async (folder) => {
		await writeFile(path.join(folder, 'text.tar'), 'nothing of the kind');
		return {reference, source: {file: path.join(folder, 'text.tar')}};
	}), {code: 'container-image-missing', message: /cannot be unpacked/});
	await t.throwsAsync(make(async (folder) => {
		await run('tar', ['--create', '--file', path.join(folder, 'empty.tar'), '--files-from', '/dev/null']);
		return {reference, source: {file: path.join(folder, 'empty.tar')}};
	}), {code: 'container-image-missing', message: /neither index\.json/});
});

test('an archive whose links lead out of it is refused', async (t) => {
	await t.throwsAsync(make(async (folder) => {
		const saved = path.join(folder, 'saved');
		await mkdir(saved);
		await run('ln', ['-s', '/etc/hostname', path.join(saved, 'config.json')]);
		await writeFile(path.join(saved, 'manifest.json'), JSON.stringify([{Config: 'config.json', Layers: []}]));
		await run('tar', ['--create', '--file', path.join(folder, 'saved.tar'), '--directory', saved, '.']);
		return {reference, source: {file: path.join(folder, 'saved.tar')}};
	}), {code: 'container-image-missing', message: /it has no config\.json/});
});

test('an image of a Docker daemon that does not answer says so', async (t) => {
	const before = process.env['DOCKER_HOST'];
	process.env['DOCKER_HOST'] = 'unix:///nowhere/docker.sock';
	try {
		await t.throwsAsync(make({reference, source: {docker: reference}}), {code: 'container-image-missing', message: /no Docker daemon answers/});
	} finally {
		if (before === undefined) {
			delete process.env['DOCKER_HOST'];
		} else {
			process.env['DOCKER_HOST'] = before;
		}
	}
});

test('names of images are completed as container runtimes do it', (t) => {
	t.is(wholeReference('busybox'), 'docker.io/library/busybox:latest');
	t.is(wholeReference('someone/tool:1'), 'docker.io/someone/tool:1');
	t.is(wholeReference('localhost:5000/tool'), 'localhost:5000/tool:latest');
	t.is(wholeReference('registry.k8s.io/pause:3.10'), 'registry.k8s.io/pause:3.10');
	t.is(wholeReference(`quay.io/a/b@sha256:${'0'.repeat(64)}`), `quay.io/a/b@sha256:${'0'.repeat(64)}`);
});
