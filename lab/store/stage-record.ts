/** stage.json: what is known of a made stage, written when it was made; only the marks of its files are written anew, where its cache was moved. */
import type {BigIntStats} from 'node:fs';
import {lstat, readdir, readFile} from 'node:fs/promises';
import path from 'node:path';
import {type DigestedEntry, digestFile, digestOf, digestTree} from '../host/digest.ts';
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
	/** As `MadeStage` has it. */
	readonly madeFor?: string | undefined;
	readonly entries: readonly StageEntry[];
	/**
	 * File -> its mark when its content was last known to be that of its entry; see `markOf`. Where a mark is missing, or another one is found (another
	 * disk has other inodes), the file is read.
	 */
	readonly marks?: Readonly<Record<string, string>>;
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
	const {name, key, entries, madeAt, seconds, bytes, madeFor} = record;
	return {name, key, folder: path.join(folder, filesName), digest: digestOf(entries), madeAt, seconds, bytes, ...(madeFor !== undefined && {madeFor})};
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

/**
 * By what a file is known to be what it was without reading it: its inode, its size, and when it was last written to, to the nanosecond. Not when its
 * inode changed (ctime), which every hard link to it sets.
 */
function markOf({ino, size, mtimeNs}: BigIntStats): string {
	return [ino, size, mtimeNs].join(' ');
}

/** The marks of all files that a record has, as they are now. Throws the system's error for a file that is missing. */
export async function readMarks(folder: string, entries: readonly StageEntry[]): Promise<Record<string, string>> {
	return Object.fromEntries(await Promise.all(entries.filter(({kind}) => kind === 'file').map(async (entry) =>
		[entry.path, markOf(await lstat(path.join(folder, filesName, entry.path), {bigint: true}))] as const)));
}

/** What is found of the files of a stage. */
export interface StageLook {
	/** Why it is no stage any more, one sentence each: 'node-1/memory was written to: ...'. */
	readonly problems: readonly string[];
	/** Marks to be recorded, since files with other marks had to be read and were found whole. */
	readonly marks?: Readonly<Record<string, string>>;
}

/**
 * Are all files what they were? One call for each file; its content is read only where its mark is another one than that of the record.
 * What was added is not looked for.
 */
export async function lookAt(folder: string, record: StageRecord): Promise<StageLook> {
	const found = await Promise.all(record.entries.filter(({kind}) => kind === 'file').map(async (entry): Promise<{name: string; mark: string; fresh: boolean; problem?: string}> => {
		const file = path.join(folder, filesName, entry.path);
		const stat = await lstat(file, {bigint: true}).catch(() => undefined);
		const mark = stat === undefined ? '' : markOf(stat);
		const told = (problem: string): {name: string; mark: string; fresh: boolean; problem: string} => ({name: entry.path, mark, fresh: false, problem: `${entry.path} ${problem}`});
		if (stat === undefined) {
			return told('is missing');
		}

		if (!stat.isFile()) {
			return told('is no file any more');
		}

		if (stat.size !== BigInt(entry.size)) {
			return told(`had ${entry.size} bytes and has ${stat.size}`);
		}

		if (record.marks?.[entry.path] === mark) {
			return {name: entry.path, mark, fresh: true};
		}

		return await digestFile(file) === entry.digest
			? {name: entry.path, mark, fresh: false}
			: told(`was altered, last on ${stat.mtime.toISOString()}: its sha256 is not that of when it was made`);
	}));
	const problems = found.flatMap(({problem}) => problem ?? []);
	return problems.length > 0 || found.every(({fresh}) => fresh) ? {problems} : {problems, marks: Object.fromEntries(found.map(({name, mark}) => [name, mark]))};
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
