import {utimes} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {digestFiles} from '../../lab/build/file-digest.ts';
import {preparePlan} from '../../lab/build/prepare.ts';
import type {Plan} from '../../lab/plan/plan.ts';
import type {LabDeclaration} from '../../lab/spec/lab.ts';
import {imageFiles, overlaySource, type Project, type ProjectFiles, withProject} from '../rig/project.ts';

const files: ProjectFiles = {
	...imageFiles,
	'overlays/base/overlay.ts': overlaySource('\tsummary: \'base\','),
	'overlays/containerd/overlay.ts': overlaySource('\tsummary: \'containerd\', provides: [\'cri\'], needs: [\'base\'],'),
	'overlays/crio/overlay.ts': overlaySource('\tsummary: \'crio\', provides: [\'cri\'], needs: [\'base\'],'),
	'overlays/kubernetes/overlay.ts': overlaySource(`	summary: 'kubernetes',
	needs: ({runtime}) => [runtime],
	options: {runtime: {default: 'containerd', capability: 'cri', summary: 'runtime'}, dir: {default: '', kind: 'folder', summary: 'own build'}},
	components: ({dir}) => [{name: 'kubernetes', version: '1.36.3', dir, programs: [{name: 'kubelet', path: '/usr/bin/kubelet'}]}],`),
	'overlays/lonely/overlay.ts': overlaySource('\tsummary: \'lonely\', needs: [\'cri\'],'),
	'overlays/archive/overlay.ts': overlaySource('\tsummary: \'archive\', images: () => [{reference: \'x:1\', source: {file: \'x.tar\'}}],'),
	'overlays/broken/overlay.ts': 'throw new Error(\'never loaded\');',
};
const lab = (...overlays: string[]): LabDeclaration => ({machines: {node: {count: 1}}, overlays});

/** A project whose cache is its own, too. */
async function withCache<Value>(use: (project: Project) => Promise<Value>): Promise<Value> {
	return withProject(files, async (project) => {
		process.env['VMLAB_CACHE_DIR'] = path.join(project.folder, 'cache');
		return use(project);
	});
}

const keyOf = (plan: Plan, name: string): string | undefined => plan.stages.find((stage) => stage.name === name)?.key;

test.serial('what overlays need is loaded, and nothing else', async (t) => {
	await withCache(async ({roots}) => {
		t.deepEqual((await preparePlan(lab('kubernetes'), {roots})).overlays, ['base', 'containerd', 'kubernetes']);
		t.deepEqual((await preparePlan(lab('kubernetes'), {roots, settings: ['kubernetes.runtime=crio']})).overlays, ['base', 'crio', 'kubernetes']);
	});
});

test.serial('two plans of one lab are equal', async (t) => {
	await withCache(async ({roots}) => {
		t.deepEqual(await preparePlan(lab('kubernetes'), {roots}), await preparePlan(lab('kubernetes'), {roots}));
	});
});

test.serial('a changed file of an overlay changes the layers that have it', async (t) => {
	await withCache(async ({roots, write}) => {
		const before = await preparePlan(lab('kubernetes'), {roots});
		await write({'overlays/base/rootfs/etc/x': 'x'});
		const after = await preparePlan(lab('kubernetes'), {roots});
		t.deepEqual(after.stages.filter(({key, name}) => key !== keyOf(before, name)).map(({name}) => name), ['layer node']);
	});
});

test.serial('unknown overlays, images and needs are refused', async (t) => {
	await withCache(async ({roots}) => {
		t.like(await t.throwsAsync(preparePlan(lab('kubernets'), {roots})), {code: 'unknown-overlay', exitCode: 3});
		t.like(await t.throwsAsync(preparePlan({...lab('base'), image: 'bookwrm'}, {roots})), {code: 'unknown-image', exitCode: 3});
		t.like(await t.throwsAsync(preparePlan(lab('kubernetes'), {roots, settings: ['kubernetes.runtime=docker']})), {
			code: 'bad-setting', exitCode: 2, details: ['`kubernetes.runtime` must be an overlay that provides `cri` (containerd, crio), not `docker`'],
		});
		t.like(await t.throwsAsync(preparePlan(lab('kubernetes'), {roots, settings: ['kubernetes.runtime=base']})), {code: 'bad-setting'}, 'an overlay, but not such a one');
		t.like(await t.throwsAsync(preparePlan({...lab('kubernetes'), options: {kubernetes: {runtime: 'docker'}}}, {roots, settings: ['kubernetes.runtime=base']})), {code: 'bad-declaration'}, 'the lab is wrong by itself too');
		t.like(await t.throwsAsync(preparePlan(lab('lonely'), {roots})), {code: 'capability-missing', hint: 'Add an overlay that does to the lab: containerd and crio.'});
	});
});

test.serial('a lab of the wrong shape is refused before anything is loaded', async (t) => {
	const error = await t.throwsAsync(preparePlan({machines: {}, overlay: []} as never, {roots: {folders: []}, file: '/p/scripts/x.ts'}));
	t.like(error, {code: 'bad-declaration', exitCode: 3, where: {file: '/p/scripts/x.ts'}});
});

test.serial('a local build is picked up again when its programs change', async (t) => {
	await withCache(async ({roots, folder, write}) => {
		await write({'mine/kubelet': 'one', 'mine/other': 'one'});
		const component = async (): Promise<string | undefined> => keyOf(await preparePlan(lab('kubernetes'), {roots, settings: [`kubernetes.dir=${folder}/mine`]}), 'component kubernetes');
		const one = await component();
		await write({'mine/other': 'two'});
		t.is(await component(), one, 'only the named programs count');
		await write({'mine/kubelet': 'two'});
		t.not(await component(), one);
		await write({'mine/kubelet': 'one'});
		t.is(await component(), one, 'by content, not by time');
	});
});

test.serial('a local build can be named by the environment, and the command line wins', async (t) => {
	await withCache(async ({roots, folder, write}) => {
		await write({'a/kubelet': 'a', 'b/kubelet': 'b'});
		const dir = async (settings: string[]): Promise<unknown> => (await preparePlan(lab('kubernetes'), {
			roots, settings, environment: {VMLAB_KUBERNETES_DIR: `${folder}/a`, VMLAB_CRIO_DIR: '/nowhere', VMLAB_CACHE_DIR: '/nowhere'},
		})).topology.options['kubernetes']?.['dir'];
		t.is(await dir([]), `${folder}/a`);
		t.is(await dir([`kubernetes.dir=${path.relative(process.cwd(), folder)}/b`]), `${folder}/b`, 'a whole path');
	});
});

test.serial('a folder is told from the home folder, from the command line and in the lab', async (t) => {
	await withCache(async ({roots, folder, write}) => {
		await write({'mine/kubelet': 'one'});
		const dir = async (declared: LabDeclaration, settings: string[]): Promise<unknown> =>
			(await preparePlan(declared, {roots, settings, environment: {HOME: folder}})).topology.options['kubernetes']?.['dir'];
		t.is(await dir(lab('kubernetes'), ['kubernetes.dir=~/mine']), `${folder}/mine`);
		t.is(await dir({...lab('kubernetes'), options: {kubernetes: {dir: '~/mine'}}}, []), `${folder}/mine`);
		t.is(await dir({...lab('kubernetes'), options: {kubernetes: {dir: '~/mine'}}}, ['kubernetes.dir=']), '');
	});
});

test.serial('a folder that has none of the programs is not the one that was meant', async (t) => {
	await withCache(async ({roots, folder, write}) => {
		await write({'mine/other': 'one'});
		t.like(await t.throwsAsync(preparePlan(lab('kubernetes'), {roots, settings: [`kubernetes.dir=${folder}/mine`]})), {
			code: 'local-build-incomplete', exitCode: 5, message: `The folder ${folder}/mine has no complete build of kubernetes`, details: ['kubelet is missing'],
		});
	});
});

test.serial('a folder or file that is not there is refused', async (t) => {
	await withCache(async ({roots, folder, write}) => {
		t.like(await t.throwsAsync(preparePlan(lab('kubernetes'), {roots, settings: [`kubernetes.dir=${folder}/none`]})), {code: 'bad-value', exitCode: 3, message: `\`${folder}/none\` is not a folder`});
		t.like(await t.throwsAsync(preparePlan(lab('archive'), {roots})), {code: 'bad-value', exitCode: 3});
		await write({'overlays/archive/x.tar': 'one'});
		const one = keyOf(await preparePlan(lab('archive', 'containerd'), {roots}), 'container-image x:1');
		await write({'overlays/archive/x.tar': 'two'});
		t.not(keyOf(await preparePlan(lab('archive', 'containerd'), {roots}), 'container-image x:1'), one);
	});
});

test.serial('a file\'s digest is computed once for each size, time and inode', async (t) => {
	await withCache(async ({folder, write}) => {
		const file = path.join(folder, 'big');
		await write({big: 'one'});
		await utimes(file, 1, 1);
		const first = (await digestFiles([file])).get(file);
		await write({big: 'two'});
		await utimes(file, 1, 1);
		t.is((await digestFiles([file])).get(file), first, 'it was not read again');
		await utimes(file, 2, 2);
		t.not((await digestFiles([file])).get(file), first);
		await write({'cache/file-digests.json': '{broken'});
		t.not((await digestFiles([file])).get(file), first, 'a broken cache is no cache');
		t.deepEqual([...await digestFiles([`${file}.none`])], []);
	});
});

test.serial('what an overlay\'s function throws is told with its place', async (t) => {
	await withCache(async ({roots, write}) => {
		await write({'overlays/late/overlay.ts': overlaySource('\tsummary: \'late\',\n\tunits() {\n\t\tthrow new Error(\'no luck\');\n\t},')});
		const error = await t.throwsAsync(preparePlan(lab('late'), {roots}));
		t.like(error, {code: 'bad-declaration', exitCode: 3, details: ['overlay `late`: units of node-1 threw: no luck (overlays/late/overlay.ts:6:9)']});
	});
});
