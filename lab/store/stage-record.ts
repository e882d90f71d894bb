/** stage.json: what is known of a made stage, written once, when it was made. */
import {lstat, readdir, readFile} from 'node:fs/promises';
import path from 'node:path';
import {type DigestedEntry, digestOf, digestTree} from '../host/digest.ts';
import type {MadeStage} from './store.ts';

/** One thing that a stage holds. Bytes; a folder's size is 0. */
export type StageEntry = DigestedEntry & {readonly size: number};

/** The content of stage.json. */
export interface StageRecord {
	readonly name: string;
	readonly key: string;
	/** Milliseconds since 1970. */
	readonly madeAt: number;
	readonly seconds: number;
	/** What it takes on the disk, in bytes: sparse files take less than their size. */
	readonly bytes: number;
	readonly entries: readonly StageEntry[];
}

/** In the folder of a stage: what is known of it. */
export const recordName = 'stage.json';
/** In the folder of a stage: the folder with what was made. */
export const filesName = 'files';
/** In the folder of a stage: how it was made. */
export const logName = 'log';

/** The record in the folder of a stage; undefined when there is none that can be read. */
export async function readRecord(folder: string): Promise<StageRecord | undefined> {
	try {
		return JSON.parse(await readFile(path.join(folder, recordName), 'utf8')) as StageRecord;
	} catch (error) {
		if (error instanceof SyntaxError || ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) {
			return undefined;
		}

		throw error;
	}
}

/** The stage as others see it. */
export function madeStage(folder: string, record: StageRecord): MadeStage {
	const {name, key, entries, madeAt, seconds, bytes} = record;
	return {name, key, folder: path.join(folder, filesName), digest: digestOf(entries), madeAt, seconds, bytes};
}

/** All that a folder holds, with digests and sizes, and what it takes on the disk in bytes. */
export async function describeFiles(folder: string): Promise<{entries: StageEntry[]; bytes: number}> {
	let bytes = 0;
	const entries = await Promise.all((await digestTree(folder)).map(async (entry): Promise<StageEntry> => {
		const {size, blocks} = await lstat(path.join(folder, entry.path));
		bytes += blocks * 512;
		return {...entry, size: entry.kind === 'file' ? size : 0};
	}));
	return {entries, bytes};
}

/** Are all files there, at their size? One call for each file; no content is read. */
export async function looksWhole(folder: string, record: StageRecord): Promise<boolean> {
	const checks = await Promise.all(record.entries.filter(({kind}) => kind === 'file').map(async (entry) => {
		const found = await lstat(path.join(folder, filesName, entry.path)).catch(() => undefined);
		return found?.isFile() === true && found.size === entry.size;
	}));
	return checks.every(Boolean);
}

/** In what the files differ from the record, one sentence each; reads all of them. */
export async function findDifferences(folder: string, record: StageRecord): Promise<string[]> {
	const now = new Map((await describeFiles(path.join(folder, filesName))).entries.map((entry) => [entry.path, entry]));
	const problems = record.entries.flatMap((before) => {
		const entry = now.get(before.path);
		now.delete(before.path);
		if (entry === undefined) {
			return [`${before.path} is missing`];
		}

		if (entry.kind !== before.kind) {
			return [`${before.path} was a ${before.kind} and is a ${entry.kind}`];
		}

		if (entry.size !== before.size) {
			return [`${before.path} had ${before.size} bytes and has ${entry.size}`];
		}

		if (entry.digest !== before.digest) {
			return [`${before.path} was altered: its sha256 was ${before.digest} and is ${entry.digest}`];
		}

		return entry.mode === before.mode ? [] : [`${before.path} had mode ${before.mode.toString(8)} and has ${entry.mode.toString(8)}`];
	});
	return [...problems, ...[...now.keys()].map((name) => `${name} was added`)];
}

/** The names in a folder; none when it is not there. */
export async function namesIn(folder: string): Promise<string[]> {
	try {
		return await readdir(folder);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
			return [];
		}

		throw error;
	}
}
