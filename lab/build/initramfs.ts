/** The initramfs of an image: busybox, init.sh and the modules that reach the layers and the disk, as one cpio archive. */
import {chmod, copyFile, mkdir, readFile, symlink, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {failure} from '../host/failure.ts';
import {packageFolder} from '../host/folder.ts';
import {run} from '../host/program.ts';
import type {StageWork} from '../store/store.ts';

/** The programs that init.sh calls, all of them busybox. */
const applets = ['cat', 'cp', 'dmesg', 'grep', 'insmod', 'mkdir', 'mount', 'mv', 'poweroff', 'printf', 'reboot', 'sh', 'switch_root', 'sync', 'tar', 'touch', 'usleep'];

/** Kernel modules as files below the release's folder. */
export interface KernelModules {
	/** Each module's file, to the files that it depends on, near or far, as modules.dep(5) has them. */
	readonly dependencies: ReadonlyMap<string, readonly string[]>;
	/** What the kernel has built in. */
	readonly builtin: readonly string[];
}

/** Reads the text of modules.dep and modules.builtin; pure. */
export function parseModules(dependencies: string, builtin: string): KernelModules {
	const lines = (text: string): string[] => text.split('\n').filter((line) => line.trim() !== '');
	return {
		dependencies: new Map(lines(dependencies).map((line) => {
			const [file = '', needs = ''] = line.split(':', 2);
			return [file, needs.split(' ').filter((need) => need !== '')] as const;
		})),
		builtin: lines(builtin),
	};
}

/** `virtio_rng` and `kernel/drivers/char/hw_random/virtio-rng.ko.xz` are one module. */
function moduleName(file: string): string {
	return path.posix.basename(file).replace(/\.ko(?:\.\w+)?$/, '').replaceAll('-', '_');
}

/**
 * The files to load, each after what it depends on; pure. What is built in needs no file.
 *
 * @throws `unknown-kernel-module` for a module that the kernel does not have
 */
export function moduleOrder(wanted: readonly string[], {dependencies, builtin}: KernelModules): string[] {
	const files = new Map([...dependencies.keys()].map((file) => [moduleName(file), file]));
	const inside = new Set(builtin.map(moduleName));
	const order = new Set<string>();
	const add = (file: string): void => {
		if (!order.has(file)) {
			// The nearest dependency is first on the line, and is itself looked up, so the order within the line does not matter.
			for (const need of dependencies.get(file) ?? []) {
				add(need);
			}

			order.add(file);
		}
	};

	for (const name of wanted) {
		const file = files.get(moduleName(name));
		if (file !== undefined) {
			add(file);
		} else if (!inside.has(moduleName(name))) {
			throw failure.unknownName('kernel module', name, []);
		}
	}

	return [...order];
}

/**
 * Makes `out`/initramfs from what rootfs.sh put into boot.tar. Not compressed: QEMU hands it over as fast as it is read, and
 * an emulated processor is slow to unpack. Its length is a multiple of 512 bytes, so that a machine's seed can follow it.
 */
export async function makeInitramfs(bootTar: string, bootModules: readonly string[], work: Pick<StageWork, 'out' | 'scratch' | 'signal' | 'log'>): Promise<void> {
	const {signal, log} = work;
	const boot = path.join(work.scratch, 'boot');
	const tree = path.join(work.scratch, 'initramfs');
	await mkdir(boot, {recursive: true});
	await run('tar', ['--extract', '--no-same-owner', '--file', bootTar, '--directory', boot], {signal, log});
	const read = async (name: string): Promise<string> => readFile(path.join(boot, name), 'utf8');
	const order = moduleOrder(bootModules, parseModules(await read('modules.dep'), await read('modules.builtin')));

	for (const folder of ['', 'bin', 'dev', 'modules', 'proc', 'sys']) {
		await mkdir(path.join(tree, folder), {mode: 0o755});
		await chmod(path.join(tree, folder), 0o755);
	}

	const put = async (from: string, to: string, mode: number): Promise<void> => {
		await copyFile(from, path.join(tree, to));
		await chmod(path.join(tree, to), mode);
	};
	await put(path.join(packageFolder, 'lab/build/init.sh'), 'init', 0o755);
	await put(path.join(boot, 'busybox'), 'bin/busybox', 0o755);
	await Promise.all(applets.map(async (name) => symlink('busybox', path.join(tree, 'bin', name))));
	for (const file of order) {
		await put(path.join(boot, file), `modules/${path.basename(file)}`, 0o644);
	}

	await writeFile(path.join(tree, 'modules/order'), order.map((file) => `${path.basename(file)}\n`).join(''));
	await chmod(path.join(tree, 'modules/order'), 0o644);
	await archive(tree, path.join(work.out, 'initramfs'), {signal, log});
}

/** Archives a tree as newc, owned by root, in the order of names, without times and inode numbers of its own. */
async function archive(tree: string, file: string, options: {signal: AbortSignal; log: string}): Promise<void> {
	const {stdout} = await run('find', ['.', '-print'], {...options, cwd: tree});
	const names = stdout.split('\n').sort();
	await run('touch', ['--no-dereference', '--date=@0', '--', ...names], {...options, cwd: tree});
	await run('cpio', ['--create', '--quiet', '--format=newc', '--reproducible', '--owner=+0:+0', `--file=${file}`], {
		...options, cwd: tree, input: `${names.join('\n')}\n`,
	});
}
