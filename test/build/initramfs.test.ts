import {mkdir, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {makeInitramfs, moduleOrder, parseModules} from '../../lab/build/initramfs.ts';
import {run} from '../../lab/host/program.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {listImages, loadImage} from '../../lab/spec/load.ts';

const dependencies = `kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio_pci_modern_dev.ko kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio_pci_modern_dev.ko:
kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio_ring.ko:
kernel/drivers/char/hw_random/virtio-rng.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/fs/unused.ko: kernel/lib/library.ko
kernel/lib/library.ko:
`;
const modules = parseModules(dependencies, 'kernel/fs/ext4/ext4.ko\n');

test('each image has the drivers of what is told apart by its order before the one that finds devices', async (t) => {
	for (const name of await listImages()) {
		const {image: {bootModules}} = await loadImage(name);
		const place = (module: string): number => {
			const found = bootModules.indexOf(module);
			t.true(found >= 0, `${name}: ${module}`);
			return found;
		};

		t.true(Math.max(place('virtio_pmem'), place('virtio_blk')) < place('virtio_pci'), name);
	}
});

test('each module comes after all that it depends on, once', t => {
	const order = moduleOrder(['virtio_pci', 'virtio_rng'], modules).map((file) => path.basename(file));
	t.deepEqual([...order].sort(), ['virtio-rng.ko', 'virtio.ko', 'virtio_pci.ko', 'virtio_pci_modern_dev.ko', 'virtio_ring.ko']);
	for (const [file, needs] of modules.dependencies) {
		for (const need of needs.filter(() => order.includes(path.basename(file)))) {
			t.true(order.indexOf(path.basename(need)) < order.indexOf(path.basename(file)), `${need} before ${file}`);
		}
	}
});

test('dashes and underscores in the name of a module are the same', t => {
	t.deepEqual(moduleOrder(['virtio-ring'], modules), moduleOrder(['virtio_ring'], modules));
});

test('what the kernel has built in is not loaded', t => {
	t.deepEqual(moduleOrder(['ext4'], modules), []);
});

test('a module that the kernel does not have is an error with its name', t => {
	t.throws(() => moduleOrder(['virtio_teapot'], modules), {code: 'unknown-kernel-module', message: /virtio_teapot/});
});

/** What rootfs.sh leaves for the initramfs, in small. */
async function bootArchive(folder: string): Promise<string> {
	const boot = path.join(folder, 'boot-source');
	for (const [file, text] of Object.entries({'modules.dep': dependencies, 'modules.builtin': '', busybox: 'busybox', ...Object.fromEntries([...modules.dependencies.keys()].map((name) => [name, name]))})) {
		await mkdir(path.dirname(path.join(boot, file)), {recursive: true});
		await writeFile(path.join(boot, file), text);
	}

	await run('tar', ['--create', '--file', path.join(folder, 'boot.tar'), '--directory', boot, '.']);
	return path.join(folder, 'boot.tar');
}

async function made(): Promise<{content: Buffer; listing: string; order: string}> {
	return withTemporaryFolder(async (folder) => {
		const [out, scratch] = [path.join(folder, 'out'), path.join(folder, 'scratch')];
		await Promise.all([mkdir(out), mkdir(scratch)]);
		await makeInitramfs(await bootArchive(folder), ['virtio_pci'], {out, scratch, signal: new AbortController().signal, log: path.join(folder, 'log')});
		const file = path.join(out, 'initramfs');
		const content = await readFile(file);
		const listing = await run('cpio', ['--list', '--verbose', '--numeric-uid-gid', '--quiet', `--file=${file}`]);
		const order = await run('cpio', ['--to-stdout', '--extract', '--quiet', `--file=${file}`, 'modules/order']);
		return {content, listing: listing.stdout, order: order.stdout};
	});
}


test('the archive has init, busybox and the modules in their order, all owned by root', async t => {
	const {listing, order} = await made();
	t.regex(listing, /^-rwxr-xr-x\s+1 0\s+0 .* init$/m);
	t.regex(listing, /^-rwxr-xr-x\s+1 0\s+0 .* bin\/busybox$/m);
	t.regex(listing, /bin\/sh -> busybox$/m);
	t.deepEqual(order.split('\n'), moduleOrder(['virtio_pci'], modules).map((file) => path.basename(file)));
	t.notRegex(listing, /unused\.ko/);
});

test('two archives of the same are the same, byte for byte', async t => {
	const [one, two] = [await made(), await made()];
	t.true(one.content.equals(two.content));
	t.is(one.content.length % 512, 0, 'so that a seed can follow');
});
