/**
 * The seed of a machine: what it has for itself, apart from its layers. It is an archive that follows the image's initramfs:
 * the kernel unpacks several one after the other, each at a multiple of four bytes ("initramfs buffer format" in the
 * kernel's documentation), and the image's first process copies it over the root filesystem.
 */
import {createReadStream, createWriteStream} from 'node:fs';
import {chmod, mkdir, readdir, stat, symlink, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {pipeline} from 'node:stream/promises';
import {run} from '../host/program.ts';
import {withTemporaryFolder} from '../host/temporary.ts';
import type {PlannedMachine} from '../plan/plan.ts';
import type {FileDeclaration} from '../spec/secret.ts';
import type {LabSecrets} from './secrets.ts';

/** What of a planned machine makes its seed. */
export type SeededMachine = Pick<PlannedMachine, 'name' | 'files' | 'units' | 'state'>;

/** Below these folders nobody but root has business. */
const privateFolders = ['/root'];

/** A file of the seed, its content resolved. */
export type SeedEntry = {readonly path: string} & ({readonly text: string; readonly mode: number} | {readonly link: string});

const secretMode = 0o600;
const plainMode = 0o644;

/** The content of a declared file in this lab, on this machine. */
async function resolve(file: FileDeclaration, machine: string, secrets: LabSecrets): Promise<SeedEntry> {
	const {path: place, mode} = file;
	const plain = (text: string): SeedEntry => ({path: place, text, mode: mode ?? plainMode});
	const secret = (text: string): SeedEntry => ({path: place, text, mode: mode ?? secretMode});
	if ('text' in file) {
		return plain(file.text);
	}

	if ('link' in file) {
		return {path: place, link: file.link};
	}

	if ('authority' in file) {
		return plain((await secrets.authority(file.authority)).public);
	}

	if ('authorityKey' in file) {
		return secret((await secrets.authority(file.authorityKey)).private);
	}

	if ('certificate' in file) {
		return plain((await secrets.certificate(file.certificate)).public);
	}

	if ('certificateKey' in file) {
		return secret((await secrets.certificate(file.certificateKey)).private);
	}

	if ('keyPair' in file) {
		const pair = await secrets.keyPair(file.keyPair);
		return file.part === 'private' ? secret(pair.private) : plain(pair.public);
	}

	return file.ssh === 'host-key'
		? secret((await secrets.hostKey(machine)).privateKey)
		: secret(`${(await secrets.loginKey()).publicKey}\n`);
}

/** The file that a unit is loaded from: for an instance of a template the template's (systemd.unit(5)). */
export function unitFile(unit: string): string {
	return unit.replace(/@.*(?=\.)/, '@');
}

/** All entries of a machine's seed: its files, and a link for each unit to enable (systemd.unit(5), `.wants/`). */
export async function seedEntries(machine: SeededMachine, secrets: LabSecrets): Promise<SeedEntry[]> {
	const files = await Promise.all(machine.files.map(async (file) => resolve(file, machine.name, secrets)));
	const links = machine.units.map((unit): SeedEntry => {
		const file = unitFile(unit);
		const own = `/etc/systemd/system/${file}`;
		return {
			path: `/etc/systemd/system/multi-user.target.wants/${unit}`,
			link: files.some(({path: place}) => place === own) ? own : `/usr/lib/systemd/system/${file}`,
		};
	});
	return [...files, ...links];
}

/**
 * Writes the initramfs that a machine boots from: the image's, followed by the machine's seed.
 *
 * @param target the file to be written, readable by us alone: it has secrets
 * @throws `program-missing`, `program-failed` (cpio), `disk-full`
 */
export async function writeInitramfs(
	machine: SeededMachine,
	options: {image: string; target: string; secrets: LabSecrets; signal?: AbortSignal | undefined},
): Promise<void> {
	const {image, target, secrets, signal} = options;
	const entries = await seedEntries(machine, secrets);
	await withTemporaryFolder(async (folder) => {
		const tree = path.join(folder, 'tree');
		await layOutTree(tree, entries, machine.state);
		const archive = path.join(folder, 'seed.cpio');
		// Parents come before what they hold.
		const names = (await readdir(tree, {recursive: true})).sort();
		await run('cpio', ['--create', '--format=newc', '--null', '--quiet', '--reproducible', '--owner=+0:+0', `--file=${archive}`], {
			cwd: tree, input: names.map((name) => `${name}\0`).join(''), signal,
		});
		await pipeline(createReadStream(image), createWriteStream(target, {mode: secretMode}));
		const {size} = await stat(image);
		await writeFile(target, Buffer.alloc((4 - size % 4) % 4), {flag: 'a'});
		await pipeline(createReadStream(archive), createWriteStream(target, {flags: 'a'}));
	}, {parent: path.dirname(target)});
}

/** `vmlab/root/` with the files, and `vmlab/state` with the folders that are kept on the machine's disk, one a line. */
async function layOutTree(tree: string, entries: readonly SeedEntry[], state: readonly string[]): Promise<void> {
	const root = path.join(tree, 'vmlab/root');
	await makeFolder(root, tree);
	for (const entry of entries) {
		const file = path.join(root, entry.path);
		await makeFolder(path.dirname(file), tree);
		if ('link' in entry) {
			await symlink(entry.link, file);
		} else {
			await writeFile(file, entry.text, {flag: 'wx'});
			await chmod(file, entry.mode);
		}
	}

	for (const secret of privateFolders) {
		const folders = [path.join(root, secret), ...(await readdir(path.join(root, secret), {recursive: true, withFileTypes: true}).catch(() => []))
			.filter((entry) => entry.isDirectory()).map((entry) => path.join(entry.parentPath, entry.name))];
		for (const folder of folders) {
			await chmod(folder, 0o700).catch(() => {});
		}
	}

	await writeFile(path.join(tree, 'vmlab/state'), state.map((folder) => `${folder}\n`).join(''));
	await chmod(path.join(tree, 'vmlab/state'), plainMode);
}

/** Makes a folder and its parents with the modes that they have on a machine, whatever our umask is. */
async function makeFolder(folder: string, top: string): Promise<void> {
	await mkdir(folder, {recursive: true});
	for (let current = folder; current !== path.dirname(top); current = path.dirname(current)) {
		await chmod(current, 0o755);
	}
}
