import {chmod, mkdir, stat, symlink, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {layoutName, makeLayer} from '../../lab/build/layer.ts';
import {digestFile} from '../../lab/host/digest.ts';
import {run} from '../../lab/host/program.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import type {MadeStage} from '../../lab/store/store.ts';

interface Inputs {
	/** Overlay -> path -> text. */
	readonly trees: Readonly<Record<string, Readonly<Record<string, string>>>>;
	/** Mode of the trees' files. */
	readonly mode?: number;
}

/** Makes a layer of the trees, a component with one program, and a container image. Gives its digest and what fsck.erofs(1) extracts. */
async function made({trees, mode = 0o644}: Inputs, look: (root: string, layer: string) => Promise<void> = async () => {}): Promise<string> {
	return withTemporaryFolder(async (folder) => {
		const put = async (file: string, text: string, fileMode: number): Promise<void> => {
			const target = path.join(folder, file);
			await mkdir(path.dirname(target), {recursive: true});
			await writeFile(target, text);
			await chmod(target, fileMode);
		};
		for (const [overlay, files] of Object.entries(trees)) {
			for (const [file, text] of Object.entries(files)) {
				await put(`overlays/${overlay}/rootfs/${file}`, text, mode);
			}
		}

		await put('component/etcd', 'a program', 0o555);
		await put('layout/index.json', '{}', 0o644);
		await mkdir(path.join(folder, 'image'));
		await run('tar', ['--create', `--file=${path.join(folder, 'image/image.tar')}`, `--directory=${path.join(folder, 'layout')}`, 'index.json']);
		const stage = (name: string, place: string): [string, MadeStage] => [name, {name, key: name, folder: path.join(folder, place), digest: '', madeAt: 0, seconds: 0, bytes: 0}];
		const [out, scratch] = [path.join(folder, 'out'), path.join(folder, 'scratch')];
		await Promise.all([mkdir(out), mkdir(scratch)]);
		await makeLayer(
			{
				kind: 'layer', role: 'node',
				trees: Object.keys(trees).map((overlay) => ({overlay, folder: path.join(folder, `overlays/${overlay}/rootfs`)})),
				components: [{stage: 'component etcd', programs: [{name: 'etcd', path: '/usr/bin/etcd'}]}],
				images: ['container-image registry.k8s.io/pause:3.10'],
			},
			new Map([stage('component etcd', 'component'), stage('container-image registry.k8s.io/pause:3.10', 'image')]),
			{key: 'test', out, scratch, signal: new AbortController().signal, progress() {}, log: path.join(folder, 'log')},
		);
		const layer = path.join(out, 'layer.erofs');
		await look(path.join(scratch, 'layer'), layer);
		checkStore(await stat(path.join(folder, 'component/etcd')));
		return digestFile(layer);
	});
}

/** What is in the store must stay as it is: layers are made with links to it. */
function checkStore({mode}: {mode: number}): void {
	if ((mode & 0o777) !== 0o555) {
		throw new Error('the mode of a file in the store was changed');
	}
}

const trees = {base: {'etc/one.conf': 'one', 'usr/lib/shared': 'of base'}, etcd: {'usr/lib/systemd/system/etcd.service': '[Unit]'}};

test('a layer has the trees, the programs and the container images, at a size that persistent memory takes', async t => {
	await made({trees}, async (root, layer) => {
		const {stdout} = await run('find', ['.', '-type', 'f', '-printf', '%P %m\n'], {cwd: root});
		t.deepEqual(stdout.split('\n').sort(), [
			'etc/one.conf 644', 'usr/bin/etcd 555', 'usr/lib/shared 644', 'usr/lib/systemd/system/etcd.service 644', 'usr/lib/vmlab/images/registry.k8s.io_pause_3.10/index.json 644',
		]);
		const {size} = await stat(layer);
		t.true(size > 0 && size % (2 * 1024 ** 2) === 0);
	});
});

test('a later overlay takes the place of an earlier one', async t => {
	const one = await made({trees: {...trees, other: {'usr/lib/shared': 'of other'}}});
	const same = await made({trees: {base: {...trees.base, 'usr/lib/shared': 'of other'}, etcd: trees.etcd}});
	t.is(one, same);
});

test('the same content gives the same bytes, under whatever umask it was checked out', async t => {
	const one = await made({trees});
	t.is(await made({trees}), one);
	t.is(await made({trees, mode: 0o664}), one);
	t.not(await made({trees: {...trees, base: {...trees.base, 'etc/one.conf': 'two'}}}), one);
});

test('a layer has the kernel modules of its stage, and their index', async t => {
	await withTemporaryFolder(async (folder) => {
		const [out, scratch, stage, tree] = ['out', 'scratch', 'stage', 'tree'].map((name) => path.join(folder, name)) as [string, string, string, string];
		const modules = path.join(tree, 'usr/lib/modules/6.1.0-1');
		await Promise.all([out, scratch, stage, path.join(modules, 'updates')].map(async (each) => mkdir(each, {recursive: true})));
		await writeFile(path.join(modules, 'modules.dep'), 'updates/one.ko:\n');
		await writeFile(path.join(modules, 'updates/one.ko'), 'a module');
		await run('tar', ['--create', `--file=${path.join(stage, 'modules.tar')}`, `--directory=${tree}`, 'usr/lib/modules/6.1.0-1/modules.dep', 'usr/lib/modules/6.1.0-1/updates/one.ko']);
		await makeLayer(
			{kind: 'layer', role: 'router', trees: [], components: [], images: [], modules: 'modules one-dkms'},
			new Map([['modules one-dkms', {name: 'modules one-dkms', key: 'one', folder: stage, digest: '', madeAt: 0, seconds: 0, bytes: 0}]]),
			{key: 'test', out, scratch, signal: new AbortController().signal, progress() {}, log: path.join(folder, 'log')},
		);
		const {stdout} = await run('find', ['.', '-type', 'f', '-printf', '%P\n'], {cwd: path.join(scratch, 'layer')});
		t.deepEqual(stdout.split('\n').sort(), ['usr/lib/modules/6.1.0-1/modules.dep', 'usr/lib/modules/6.1.0-1/updates/one.ko']);
		t.true((await stat(path.join(out, 'layer.erofs'))).size > 0);
	});
});

test('links are kept as links', async t => {
	await withTemporaryFolder(async (folder) => {
		await mkdir(path.join(folder, 'rootfs/etc'), {recursive: true});
		await symlink('/usr/lib/elsewhere', path.join(folder, 'rootfs/etc/link'));
		const [out, scratch] = [path.join(folder, 'out'), path.join(folder, 'scratch')];
		await Promise.all([mkdir(out), mkdir(scratch)]);
		const recipe = {kind: 'layer', role: 'node', trees: [{overlay: 'one', folder: path.join(folder, 'rootfs')}], components: [], images: []} as const;
		await makeLayer(recipe, new Map(), {key: 'test', out, scratch, signal: new AbortController().signal, progress() {}, log: path.join(folder, 'log')});
		const {stdout} = await run('readlink', [path.join(scratch, 'layer/etc/link')]);
		t.is(stdout, '/usr/lib/elsewhere');
	});
});

test('the folder of a container image is named after it', t => {
	t.is(layoutName('container-image localhost:5000/team/app:v1.2'), 'localhost_5000_team_app_v1.2');
});
