import {mkdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {checkModules, findKernel, makeModules, modulesRequest} from '../../lab/build/modules.ts';
import {explainRootfs, rootfsCommand} from '../../lab/build/rootfs.ts';
import {LabError} from '../../lab/host/error.ts';
import {failure} from '../../lab/host/failure.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import type {PlannedStage} from '../../lab/plan/plan.ts';
import type {MadeStage} from '../../lab/store/store.ts';
import {withStageWork} from '../rig/stage-work.ts';

const packages = 'libc6=2.36-9\nlinux-base=4.12\nlinux-image-6.1.0-56-cloud-amd64=6.1.192-2\nlinux-image-cloud-amd64=6.1.192-2\nsystemd=252\n';
const kernel = {release: '6.1.0-56-cloud-amd64', package: 'linux-image-6.1.0-56-cloud-amd64', version: '6.1.192-2'};
const recipe = {kind: 'modules', image: 'image bookworm', release: 'bookworm', exclude: ['/usr/share/doc/*'], packages: ['jool-dkms']} as const;
const request = modulesRequest(recipe, kernel, {sources: [], settings: []});
const stage: PlannedStage = {name: 'modules jool-dkms', key: 'k', needs: ['image bookworm'], recipe};

/** Stages as they are in a store: name -> file -> text. */
async function withStages(stages: Readonly<Record<string, Readonly<Record<string, string>>>>, use: (made: ReadonlyMap<string, MadeStage>) => Promise<void>): Promise<void> {
	await withTemporaryFolder(async (parent) => {
		const made = new Map<string, MadeStage>();
		for (const [name, files] of Object.entries(stages)) {
			const folder = path.join(parent, name.replaceAll(' ', '-'));
			await mkdir(folder);
			await Promise.all(Object.entries(files).map(async ([file, text]) => writeFile(path.join(folder, file), text)));
			made.set(name, {name, key: name, folder, digest: '', madeAt: 0, seconds: 0, bytes: 0});
		}

		await use(made);
	});
}

test('the kernel of an image is the package that has a release in its name', t => {
	t.deepEqual(findKernel(packages), kernel);
	t.deepEqual(findKernel('linux-image-6.12.9+deb13-amd64-unsigned=6.12.9-1\n'), {release: '6.12.9+deb13-amd64', package: 'linux-image-6.12.9+deb13-amd64-unsigned', version: '6.12.9-1'});
	t.is(findKernel('linux-base=4.12\nlinux-image-cloud-amd64=6.1.192-2\n'), undefined);
});

test('modules are built with the headers of exactly the kernel of the image', t => {
	const include = rootfsCommand(request, 'root', {configuration: '/c', hook: '/c/hook', results: '/r'}).find((word) => word.startsWith('--include='))!.slice('--include='.length).split(',');
	t.deepEqual(include, ['dkms', 'jool-dkms', 'linux-headers-6.1.0-56-cloud-amd64=6.1.192-2', 'linux-image-6.1.0-56-cloud-amd64=6.1.192-2', 'usr-is-merged', 'xz-utils']);
	t.deepEqual(request.configuration['packages'], 'jool-dkms\n');
	t.regex(request.configuration['settings']!, /^KERNEL=6\.1\.0-56-cloud-amd64$/m);
});

for (const [title, line, hint] of [
	['a kernel that the mirror has no longer', 'E: Unable to locate package linux-headers-6.1.0-56-cloud-amd64', /newer one, and "image bookworm" is older.*prune/],
	['a version of it that the mirror has no longer', 'E: Version \'6.1.192-2\' for \'linux-image-6.1.0-56-cloud-amd64\' was not found', /newer one, and "image bookworm" is older.*prune/],
	['a package that does not exist', 'E: Unable to locate package teapot-dkms', /correct `modulePackages`/],
	['a package that has no source of modules', 'vmlab: jool-tools has no source for dkms', /correct `modulePackages`/],
	['a source that does not fit the kernel', 'vmlab: dkms could not build jool-dkms 4.1.9 (exit code 10)', /another image/],
	['a mirror that is not reached', 'Err:1 http://mirror.example/debian bookworm InRelease Could not connect to mirror.example', /check the network/],
] as const) {
	test(`the error of ${title} says what to do`, t => {
		const error = explainRootfs(failure.programFailed('sh', 'ended with exit code 25', ['Get:1 something', line], '/log'), request);
		t.true(error instanceof LabError);
		const {code, kind, message, details, hint: shown, log} = error as LabError;
		t.is(code, 'modules-failed');
		t.is(kind, 'component');
		t.regex(message, /jool-dkms .*6\.1\.0-56-cloud-amd64 \(6\.1\.192-2\)/);
		t.deepEqual(details, [line]);
		t.regex(shown ?? '', hint);
		t.is(log, '/log');
	});
}

test('an image without one of Debian\'s kernels is told as such, before anything is fetched', async t => {
	await withStages({'image bookworm': {'packages.txt': 'linux-image-cloud-amd64=6.1.192-2\n'}}, async (made) => {
		await withStageWork(async (work) => {
			await t.throwsAsync(makeModules(recipe, made, work), {code: 'modules-failed', message: /image bookworm/});
		});
	});
});

test('modules that are for another kernel than the image has now are refused, with the cure', async t => {
	const image = {'packages.txt': packages};
	await withStages({'image bookworm': image, 'modules jool-dkms': {kernel: '6.1.0-56-cloud-amd64 (6.1.192-2)'}}, async (made) => {
		await t.notThrowsAsync(checkModules([stage], made));
	});
	await withStages({'image bookworm': image, 'modules jool-dkms': {kernel: '6.1.0-55-cloud-amd64 (6.1.190-1)'}}, async (made) => {
		const error = await t.throwsAsync<LabError>(checkModules([stage], made), {code: 'modules-outdated', message: /6\.1\.0-55.*6\.1\.0-56/});
		t.regex(error.hint ?? '', /cache prune/);
	});
	await withStages({'image bookworm': image}, async (made) => {
		await t.notThrowsAsync(checkModules([stage], made), 'where none were made');
	});
});
