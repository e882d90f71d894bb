/** Root filesystems by mmdebstrap(1): installed, and taken apart by a script, which leaves what is wanted of them. */
import {chmod, copyFile, cp, mkdir, readdir, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {digestOf} from '../host/digest.ts';
import {LabError} from '../host/error.ts';
import {packageFolder} from '../host/folder.ts';
import {findProgram, run} from '../host/program.ts';
import type {StageWork} from '../store/store.ts';
import type {AptSources} from './image-sources.ts';

/** What a root filesystem is made of, and what of it. */
export interface RootfsRequest {
	readonly release: string;
	/** Names, or NAME=VERSION. */
	readonly packages: readonly string[];
	/** Globs of paths that are not unpacked. */
	readonly exclude: readonly string[];
	readonly apt: AptSources;
	/** Empty files that are there before the packages are installed: absolute, of plain characters. */
	readonly marks?: readonly string[];
	/** The script of this folder that takes the tree apart: `sh SCRIPT TREE CONFIGURATION`. */
	readonly script: string;
	/** What it finds in its folder CONFIGURATION: name -> text. */
	readonly configuration: Readonly<Record<string, string>>;
	/** What it leaves in TREE/tmp/vmlab, and the builder in the folder that it was given. */
	readonly results: readonly string[];
	/** What to say when it cannot be made: the lines that tell why, a hint, the log, the cause. */
	readonly failed: (lines: readonly string[], hint: string, log?: string, cause?: unknown) => LabError;
	/** Failures of its own kind, and what helps: before those of any root filesystem. */
	readonly hints?: ReadonlyArray<readonly [RegExp, string]>;
}

/** Makes the results in a folder. */
export type RootfsBuilder = (request: RootfsRequest, configuration: string, results: string, work: StageWork) => Promise<void>;

/**
 * The moment that everything in an image is from, in seconds since 1970: 2024-01-01. Any moment does, as long as it is the
 * same in each build (reproducible-builds.org, SOURCE_DATE_EPOCH).
 */
export const epoch = 1_704_067_200;

/** What the build runs with, wherever it runs. */
export const rootfsEnvironment: Readonly<Record<string, string>> = {
	SOURCE_DATE_EPOCH: String(epoch),
	// Debian's initramfs is of no use here, and takes a while (kernel postinst hook of initramfs-tools).
	INITRD: 'No',
	TZ: 'UTC',
};

/** Folders of a build, where it runs: on this host or in a container. */
export interface RootfsFolders {
	/** apt.conf and sources.list: for mmdebstrap itself, which is the user. They may hold passwords. */
	readonly configuration: string;
	/** The request's script and what it reads, for a hook, which may be somebody else. */
	readonly hook: string;
	readonly results: string;
}

/** The hook's folder in that of the configuration, as writeConfiguration makes it. */
export const hookFolder = 'hook';

/**
 * The whole command; pure.
 *
 * @param mode 'unshare' for an ordinary user
 */
export function rootfsCommand(request: Pick<RootfsRequest, 'release' | 'packages' | 'exclude' | 'marks' | 'script' | 'results'>, mode: 'root' | 'unshare', folders: RootfsFolders): string[] {
	const {configuration, hook, results} = folders;
	// usr-is-merged keeps Perl's usrmerge away.
	const packages = [...new Set([...request.packages, 'usr-is-merged'])].sort();
	const marks = (request.marks ?? []).map((mark) => `"$1"${mark}`).join(' ');
	return [
		// The mode of what maintainer scripts create depends on it.
		'sh', '-c', 'umask 022 && exec "$@"', 'rootfs',
		'mmdebstrap', `--mode=${mode}`, '--variant=apt', '--format=null', '--skip=cleanup',
		`--include=${packages.join(',')}`,
		'--aptopt=APT::Install-Recommends "false"', `--aptopt=${configuration}/apt.conf`,
		// The tree is thrown away: what of it is kept is flushed when it is kept.
		'--dpkgopt=force-unsafe-io',
		...request.exclude.map((glob) => `--dpkgopt=path-exclude=${glob}`),
		'--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr',
		...(marks === '' ? [] : [`--essential-hook=for file in ${marks}; do mkdir -p "\${file%/*}" && : >"$file"; done`]),
		`--customize-hook=sh ${quote(`${hook}/${request.script}`)} "$1" ${quote(hook)}`,
		...request.results.map((name) => `--customize-hook=download /tmp/vmlab/${name} ${quote(`${results}/${name}`)}`),
		request.release, '-', `${configuration}/sources.list`,
	];
}

function quote(text: string): string {
	return `'${text.replaceAll('\'', '\'\\\'\'')}'`;
}

/** Writes what rootfsCommand names as its configuration, and in it the hook's folder, which anybody may read. */
export async function writeConfiguration(folder: string, request: RootfsRequest): Promise<void> {
	const {apt, configuration, script} = request;
	const hook = path.join(folder, hookFolder);
	await mkdir(hook, {recursive: true});
	const lines = (text: readonly string[]): string => text.map((line) => `${line}\n`).join('');
	await Promise.all([
		writeFile(path.join(folder, 'sources.list'), lines(apt.sources)),
		writeFile(path.join(folder, 'apt.conf'), lines(apt.settings)),
		...Object.entries(configuration).map(async ([name, text]) => writeFile(path.join(hook, name), text)),
		copyFile(path.join(packageFolder, 'lab/build', script), path.join(hook, script)),
	]);
	await Promise.all((await readdir(hook)).map(async (name) => chmod(path.join(hook, name), 0o644)));
	await chmod(hook, 0o755);
}

/** A UUID that depends on nothing but the value (RFC 9562, version 8). */
export function uuidOf(value: unknown): string {
	const hex = digestOf(value);
	return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Can mmdebstrap work here: as root, or with user namespaces and ids for them? */
export async function canRunMmdebstrap(signal?: AbortSignal): Promise<boolean> {
	if (await findProgram('mmdebstrap') === undefined) {
		return false;
	}

	if (process.getuid?.() === 0) {
		return true;
	}

	const tried = await run('mmdebstrap', ['--unshare-helper', 'true'], {signal, accept: anyCode}).catch(() => undefined);
	// What was interrupted has said nothing.
	signal?.throwIfAborted();
	return tried?.exitCode === 0;
}

const anyCode = Array.from({length: 256}, (_, code) => code);

/** The builder that runs mmdebstrap on this host: as root, or in a user namespace. */
export const buildWithMmdebstrap: RootfsBuilder = async (request, configuration, results, work) => {
	const root = process.getuid?.() === 0;
	const shared = root ? work.scratch : await sharedFolder(work);
	try {
		const hook = path.join(shared, hookFolder);
		await cp(path.join(configuration, hookFolder), hook, {recursive: true});
		const [program, ...args] = rootfsCommand(request, root ? 'root' : 'unshare', {configuration, hook, results}) as [string, ...string[]];
		await run(program, args, {
			env: {...rootfsEnvironment, TMPDIR: shared},
			log: work.log,
			signal: work.signal,
			onLine: (line) => {
				const step = rootfsStep(line);
				if (step !== undefined) {
					work.progress(step);
				}
			},
		});
	} catch (error) {
		throw explainRootfs(error, request);
	} finally {
		if (shared !== work.scratch) {
			await removeShared(shared);
		}
	}
};

/** What a line of mmdebstrap's output tells of the progress, if anything. */
export function rootfsStep(line: string): string | undefined {
	return /^I: ((?:downloading|extracting|installing|building) .*?)(?:\.\.\.)?$/.exec(line)?.[1];
}

/**
 * A folder for mmdebstrap's tree and its hook. In a user namespace they work under other ids, for whom the way must be
 * open, and the store's scratch is closed. Its name follows from the store and the stage's key, whose lock is held, so that what
 * a killed build left is found and removed by the next.
 */
async function sharedFolder(work: StageWork): Promise<string> {
	const folder = path.join(tmpdir(), `vmlab-image-${digestOf({user: process.getuid?.(), store: path.dirname(path.dirname(path.dirname(work.scratch))), key: work.key}).slice(0, 16)}`);
	await removeShared(folder);
	await mkdir(folder, {mode: 0o700});
	await chmod(folder, 0o711);
	return folder;
}

async function removeShared(folder: string): Promise<void> {
	// What is in it belongs to ids of the namespace, so the namespace removes it.
	await run('mmdebstrap', ['--unshare-helper', 'rm', '-rf', '--one-file-system', folder], {accept: anyCode});
	await rm(folder, {recursive: true, force: true});
}


/** A failure to do with one kind of output, and what helps. */
const hints: ReadonlyArray<readonly [RegExp, string]> = [
	[/Unable to locate package|has no installation candidate/, 'The release has no such package: correct `packages` of the image or of an overlay.'],
	[/NO_PUBKEY|not signed|keyring/i, 'The host lacks the keys of this release: install the Debian package debian-archive-keyring in its newest version.'],
	[/Temporary failure resolving|Could not resolve|Could not connect|Failed to fetch|Connection (?:failed|refused|timed out)|Unable to fetch/i, 'The mirror of the host\'s apt configuration did not deliver: check the network, and run it again.'],
	[/newuidmap|newgidmap|subuid|user namespace|unshare/i, 'An ordinary user needs user namespaces and ids in /etc/subuid and /etc/subgid (Debian package uidmap); or run it as root, or with VMLAB_IMAGE_BUILDER=docker.'],
];

/** The failure of a build, with the lines that say why; interruptions and full disks stay what they are. */
export function explainRootfs(error: unknown, {failed, hints: own = []}: Pick<RootfsRequest, 'failed' | 'hints'>): unknown {
	if (!(error instanceof LabError) || error.code !== 'program-failed') {
		return error;
	}

	const reasons = error.details.filter((line) => /^(?:E|W|Err)[: ]|^vmlab: |error/i.test(line));
	const lines = reasons.length === 0 ? error.details : reasons;
	const hint = [...own, ...hints].find(([pattern]) => lines.some((line) => pattern.test(line)))?.[1] ?? 'The log has the whole story.';
	return failed(lines.slice(-8), hint, error.log, error);
}
