/** Copying files and folders to and from a machine by sftp. Names that a guest gives are not trusted. */
import {createWriteStream} from 'node:fs';
import {lstat, mkdir, readdir, stat, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {pipeline} from 'node:stream/promises';
import type {SFTPWrapper, Stats} from 'ssh2';
import {LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {throwIfInterrupted} from '../host/interruption.ts';
import {untilAborted} from '../host/wait.ts';
import {quoteWord} from './quoting.ts';

/** How files are copied. */
export interface CopyOptions {
	readonly signal?: AbortSignal | undefined;
	/** Told of each file, by its path on the machine, before it is copied. */
	readonly onFile?: (file: string) => void;
	/** Bytes that a file from the machine may have at most, whatever the machine sends. Default: what it says that the file has when it is opened. */
	readonly mostBytes?: number;
}

/** Folders nested deeper than this are taken for a trick (bytes of a path run out about there, too). */
const deepest = 100;

/** Bytes up to which a file is read to its end, whatever size it is said to have: one read, as a rule, of which several at once would not be faster. */
const shortest = 4096;

/** Calls one of sftp's functions, which take a callback last. */
async function call<Value>(start: (done: (error: Error | undefined | null, value?: Value) => void) => void): Promise<Value> {
	return new Promise((resolve, reject) => {
		start((error, value) => {
			if (error) {
				reject(error);
			} else {
				resolve(value as Value);
			}
		});
	});
}

async function remoteStat(sftp: SFTPWrapper, file: string): Promise<Stats | undefined> {
	return call<Stats>((done) => {
		sftp.stat(file, done);
	}).catch((error: Error & {code?: number}) => {
		// SSH_FX_NO_SUCH_FILE, draft-ietf-secsh-filexfer-02.
		if (error.code === 2) {
			return undefined;
		}

		throw error;
	});
}

/**
 * Runs the copy, ends the sftp session afterwards, and says which file a failure was about. What is asked of a session that has ended is never answered
 * (ssh2 asks such things itself, to clear up after a failure), nor is it by a machine that hangs: so its end and the signal end the copy, too.
 */
async function copying(sftp: SFTPWrapper, machine: string, file: string, options: CopyOptions, copy: () => Promise<number>): Promise<number> {
	const {signal} = options;
	let end = (): void => {};
	const ended = new Promise<never>((_resolve, reject) => {
		end = () => {
			reject(new Error('the connection ended'));
		};
	});
	sftp.once('end', end);
	sftp.once('close', end);
	try {
		const first = Promise.race([copy(), ended]);
		return await (signal === undefined ? first : untilAborted(first, signal));
	} catch (error) {
		throwIfInterrupted(signal);
		throw error instanceof LabError ? error : failure.copyFailed(machine, file, error instanceof Error ? error.message : String(error));
	} finally {
		sftp.off('end', end);
		sftp.off('close', end);
		sftp.end();
	}
}

/**
 * Copies a file, or a folder with what is in it, to the machine, with permission bits. Where `remote` is a folder already,
 * it goes into it under its own name. Links are followed to files; sockets, devices and links to folders are left out.
 *
 * @returns the number of files
 * @throws `copy-failed`, `interrupted`
 */
export async function upload(sftp: SFTPWrapper, machine: string, local: string, remote: string, options: CopyOptions): Promise<number> {
	return copying(sftp, machine, local, options, async () => {
		const there = await remoteStat(sftp, remote);
		const target = there?.isDirectory() ? path.posix.join(remote, path.basename(path.resolve(local))) : remote;
		if (there === undefined) {
			// sftp's own words are of neither file. What ends in a slash is meant to be a folder; a folder that is copied makes it.
			const parent = remote.endsWith('/') && !(await stat(local)).isDirectory() ? remote : path.posix.dirname(remote);
			if (!(await remoteStat(sftp, parent))?.isDirectory()) {
				throw failure.copyFailed(machine, local, `there is no folder ${parent} on it`, `Make it first: \`vmlab exec ${machine} -- mkdir -p ${quoteWord(parent)}\`.`);
			}
		}

		return uploadEntry(sftp, local, target, options, 0);
	});
}

async function uploadEntry(sftp: SFTPWrapper, local: string, remote: string, options: CopyOptions, depth: number): Promise<number> {
	options.signal?.throwIfAborted();
	const status = await stat(local);
	if (status.isDirectory()) {
		if (!(await remoteStat(sftp, remote))?.isDirectory()) {
			await call<void>((done) => {
				sftp.mkdir(remote, {mode: status.mode & 0o777}, done);
			});
		}

		let files = 0;
		for (const name of (await readdir(local)).sort()) {
			const entry = path.join(local, name);
			if (await isWanted(entry, depth)) {
				files += await uploadEntry(sftp, entry, path.posix.join(remote, name), options, depth + 1);
			}
		}

		return files;
	}

	options.onFile?.(remote);
	await call<void>((done) => {
		sftp.fastPut(local, remote, {mode: status.mode & 0o777}, done);
	});
	return 1;
}

async function isWanted(entry: string, depth: number): Promise<boolean> {
	const own = await lstat(entry);
	if (own.isDirectory()) {
		return depth < deepest;
	}

	return own.isFile() || (own.isSymbolicLink() && (await stat(entry).then((target) => target.isFile(), () => false)));
}

/**
 * The same from the machine. A name from the machine that is more than a name ('a/b') ends the copy, and no link is
 * made on this computer, so that nothing is written outside the target.
 *
 * @returns the number of files
 * @throws `copy-failed`, `interrupted`
 */
export async function download(sftp: SFTPWrapper, machine: string, remote: string, local: string, options: CopyOptions): Promise<number> {
	return copying(sftp, machine, remote, options, async () => {
		const status = await remoteStat(sftp, remote);
		if (status === undefined) {
			throw failure.copyFailed(machine, remote, 'there is no such file on the machine');
		}

		const isFolder = await stat(local).then((found) => found.isDirectory(), () => false);
		const target = isFolder ? path.join(local, path.posix.basename(path.posix.resolve('/', remote))) : local;
		return downloadEntry(sftp, machine, remote, status, target, options, 0);
	});
}

async function downloadEntry(sftp: SFTPWrapper, machine: string, remote: string, status: Stats, local: string, options: CopyOptions, depth: number): Promise<number> {
	options.signal?.throwIfAborted();
	if (status.isFile()) {
		const {mostBytes} = options;
		// A machine may leave the size out.
		if (mostBytes !== undefined && !(status.size <= mostBytes)) {
			throw failure.copyFailed(machine, remote, `it is said to have ${status.size} bytes, and may have ${mostBytes}`);
		}

		options.onFile?.(remote);
		if (mostBytes !== undefined && status.size === 0) {
			// fastGet would ask again, and take what is said then.
			await writeFile(local, '', {mode: status.mode & 0o777});
			return 1;
		}

		if (mostBytes === undefined && !(status.size > shortest)) {
			// fastGet takes no more than what the file is said to have: nothing, of files below /proc, and a whole page of those below /sys.
			await pipeline(sftp.createReadStream(remote), createWriteStream(local, {mode: status.mode & 0o777}));
			return 1;
		}

		await call<void>((done) => {
			sftp.fastGet(remote, local, {mode: status.mode & 0o777, ...(mostBytes !== undefined && {fileSize: status.size})}, done);
		});
		return 1;
	}

	if (!status.isDirectory() || depth >= deepest) {
		return 0;
	}

	await mkdir(local, {recursive: true});
	const entries = await call<Array<{filename: string; attrs: Stats}>>((done) => {
		sftp.readdir(remote, done as Parameters<SFTPWrapper['readdir']>[1]);
	});
	let files = 0;
	for (const {filename, attrs} of entries) {
		if (filename === '.' || filename === '..') {
			continue;
		}

		if (filename === '' || filename.includes('/') || filename.includes('\0')) {
			throw failure.copyFailed(machine, remote, `the machine names an entry ${JSON.stringify(filename)}`);
		}

		const entry = path.posix.join(remote, filename);
		const followed = attrs.isSymbolicLink() ? await remoteStat(sftp, entry) : attrs;
		if (followed !== undefined && !(attrs.isSymbolicLink() && followed.isDirectory())) {
			files += await downloadEntry(sftp, machine, entry, followed, path.join(local, filename), options, depth + 1);
		}
	}

	return files;
}
