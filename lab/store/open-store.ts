/**
 * The store on disk, below the cache folder:
 *
 *     stages/KEY/        a made stage: its files, and stage.json, which tells of it; read-only
 *     used/KEY           touched at each use, for pruning
 *     scratch/KEY.PID.*  where a maker works; what dead makers left is cleared by the next one
 *     locks/KEY          held while a stage is made
 *     logs/NAME.log      what the last making of a stage printed
 *
 * A stage appears by one rename, after all its bytes are on the disk: it is there whole, or not at all.
 */
import {chmod, lstat, mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {digestTree} from '../host/digest.ts';
import {asLabError, LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {folders} from '../host/folder.ts';
import {withLock} from '../host/lock.ts';
import type {MadeStage, StageRequest, Store} from './store.ts';

/** What stage.json tells; its presence makes the folder a stage. */
interface StageRecord {
	readonly name: string;
	readonly key: string;
	readonly madeAt: number;
	readonly seconds: number;
	readonly bytes: number;
	/** Path -> hex sha256, for `vmlab cache verify`. */
	readonly digests: Readonly<Record<string, string>>;
}

const recordFile = 'stage.json';

/** Opens the store; its folder is created where it is missing. Default: `stages` and its siblings in this user's cache folder. */
export async function openStore(folder: string = folders().cache): Promise<Store> {
	await Promise.all(['stages', 'used', 'scratch', 'locks', 'logs'].map(async (name) => mkdir(path.join(folder, name), {recursive: true})));
	return new FolderStore(folder);
}

class FolderStore implements Store {
	readonly folder: string;

	constructor(folder: string) {
		this.folder = folder;
	}

	async find(key: string): Promise<MadeStage | undefined> {
		const record = await this.#record(key);
		if (record === undefined) {
			return undefined;
		}

		await this.#markUsed(key);
		return this.#made(record);
	}

	async make(request: StageRequest, {events, signal}: Parameters<Store['make']>[1]): Promise<MadeStage> {
		const {name, key} = request;
		const there = await this.find(key);
		if (there !== undefined) {
			events({type: 'stage', reason: 'cached', stage: name, key});
			return there;
		}

		return withLock(
			path.join(this.folder, 'locks', key),
			async () => {
				const meanwhile = await this.find(key);
				if (meanwhile !== undefined) {
					events({type: 'stage', reason: 'cached', stage: name, key});
					return meanwhile;
				}

				return this.#makeLocked(request, {events, signal});
			},
			{
				signal,
				onWait(holder) {
					events({type: 'stage', reason: 'waiting', stage: name, key, holder});
				},
			},
		);
	}

	async list(): Promise<MadeStage[]> {
		const keys = await readdir(path.join(this.folder, 'stages'));
		const records = await Promise.all(keys.map(async (key) => this.#record(key)));
		return records.filter((record) => record !== undefined).map((record) => this.#made(record));
	}

	async verify(stage: MadeStage): Promise<string[]> {
		const record = await this.#record(stage.key);
		if (record === undefined) {
			return [`${stage.name}: it is not in the store any more`];
		}

		const found = await digests(stage.folder);
		const names = new Set([...Object.keys(record.digests), ...Object.keys(found)]);
		return [...names].sort().flatMap((file) => {
			const [was, is] = [record.digests[file], found[file]];
			if (was === is) {
				return [];
			}

			return [`${stage.name}: ${file} ${was === undefined ? 'was not made with it' : is === undefined ? 'is missing' : `was altered: sha256 ${is}, made with ${was}`}`];
		});
	}

	async prune({unusedSince}: {unusedSince: number}): Promise<MadeStage[]> {
		await this.#clearScratch();
		const pruned: MadeStage[] = [];
		for (const stage of await this.list()) {
			const mark = await stat(path.join(this.folder, 'used', stage.key)).catch(() => undefined);
			if ((mark?.mtimeMs ?? stage.madeAt) < unusedSince) {
				await removeTree(stage.folder);
				await rm(path.join(this.folder, 'used', stage.key), {force: true});
				pruned.push(stage);
			}
		}

		return pruned;
	}

	async #makeLocked({name, key, make}: StageRequest, {events, signal}: Parameters<Store['make']>[1]): Promise<MadeStage> {
		await this.#clearScratch();
		const start = performance.now();
		const seconds = (): number => Math.round(performance.now() - start) / 1000;
		const work = path.join(this.folder, 'scratch', `${key}.${process.pid}.${Date.now()}`);
		const [out, scratch, log] = [path.join(work, 'out'), path.join(work, 'scratch'), path.join(this.folder, 'logs', `${name.replaceAll(/[^\w.@+-]+/g, '-')}.log`)];
		events({type: 'stage', reason: 'started', stage: name, key});
		try {
			await mkdir(out, {recursive: true});
			await mkdir(scratch);
			await writeFile(log, `${name} ${key}\n`);
			await make({
				out,
				scratch,
				signal,
				log,
				progress(text) {
					events({type: 'stage', reason: 'progress', stage: name, key, text});
				},
			});
			signal.throwIfAborted();
			const record: StageRecord = {name, key, madeAt: Date.now(), seconds: seconds(), bytes: await diskUsage(out), digests: await digests(out)};
			await writeFile(path.join(out, recordFile), `${JSON.stringify(record, undefined, '\t')}\n`);
			await seal(out);
			await rename(out, this.#stageFolder(key));
			await this.#markUsed(key);
			events({type: 'stage', reason: 'made', stage: name, key, seconds: record.seconds, bytes: record.bytes});
			return this.#made(record);
		} catch (thrown) {
			const error = this.#explain(name, thrown, log, signal);
			events({type: 'stage', reason: 'failed', stage: name, key, seconds: seconds(), error: error.toJSON()});
			throw error;
		} finally {
			await removeTree(work);
		}
	}

	#explain(name: string, thrown: unknown, log: string, signal: AbortSignal): LabError {
		if (signal.aborted) {
			return signal.reason instanceof LabError ? signal.reason : failure.interrupted('a request to stop');
		}

		if (thrown instanceof Error && 'code' in thrown && (thrown.code === 'ENOSPC' || thrown.code === 'EDQUOT')) {
			return failure.diskFull(this.folder, thrown);
		}

		const error = asLabError(thrown);
		return error.kind === 'host' && error.code === 'program-failed' ? failure.stageFailed(name, error, log) : error;
	}

	/** What makers left that did not live to clear it: their process is gone. */
	async #clearScratch(): Promise<void> {
		const folder = path.join(this.folder, 'scratch');
		for (const name of await readdir(folder)) {
			const pid = Number(name.split('.')[1]);
			// A live process with that id may be another one by now; then its folder is cleared another time.
			if (pid !== process.pid && !(await stat(`/proc/${pid}`).catch(() => undefined))) {
				await removeTree(path.join(folder, name));
			}
		}
	}

	#stageFolder(key: string): string {
		return path.join(this.folder, 'stages', key);
	}

	async #record(key: string): Promise<StageRecord | undefined> {
		try {
			return JSON.parse(await readFile(path.join(this.#stageFolder(key), recordFile), 'utf8')) as StageRecord;
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) {
				return undefined;
			}

			throw error;
		}
	}

	#made({name, key, madeAt, seconds, bytes}: StageRecord): MadeStage {
		return {name, key, folder: this.#stageFolder(key), madeAt, seconds, bytes};
	}

	async #markUsed(key: string): Promise<void> {
		const [file, now] = [path.join(this.folder, 'used', key), new Date()];
		try {
			await utimes(file, now, now);
		} catch {
			// A store on a full or read-only disk can still be read from.
			await writeFile(file, '').catch(() => {});
		}
	}
}

async function digests(folder: string): Promise<Record<string, string>> {
	return Object.fromEntries((await digestTree(folder)).filter(({kind, path: file}) => kind !== 'folder' && file !== recordFile).map(({path: file, digest}) => [file, digest]));
}

/** Bytes on the disk: a sparse file counts only what it has. */
async function diskUsage(folder: string): Promise<number> {
	const names = await readdir(folder, {recursive: true});
	const sizes = await Promise.all(names.map(async (name) => (await lstat(path.join(folder, name))).blocks * 512));
	return sizes.reduce((sum, size) => sum + size, 0);
}

/** Puts every byte on the disk and takes away the right to write, so that a stage stays as it was made. */
async function seal(folder: string): Promise<void> {
	for (const entry of await readdir(folder, {withFileTypes: true})) {
		const file = path.join(folder, entry.name);
		if (entry.isDirectory()) {
			await seal(file);
		} else if (entry.isFile()) {
			const handle = await open(file, 'r');
			try {
				await handle.sync();
				await handle.chmod((await handle.stat()).mode & 0o555);
			} finally {
				await handle.close();
			}
		}
	}
}

/** Removes a tree, and may do so although folders in it are read-only. */
async function removeTree(folder: string): Promise<void> {
	for (const entry of await readdir(folder, {recursive: true, withFileTypes: true}).catch(() => [])) {
		if (entry.isDirectory()) {
			await chmod(path.join(entry.parentPath, entry.name), 0o700).catch(() => {});
		}
	}

	await rm(folder, {recursive: true, force: true});
}
