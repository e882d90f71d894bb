/**
 * The store on the disk. In its folder:
 *
 *     stages/KEY/stage.json   what it is, with the digest of each file; its time is when the stage was last used
 *     stages/KEY/files/       what was made, read-only
 *     stages/KEY/log          how it was made
 *     locks/KEY               held while the stage is made or removed
 *     scratch/KEY.RANDOM/     what is being made; when nobody holds the lock of KEY, its maker is dead. Not stages alone, see `withScratch`
 *     logs/                   of makings that failed
 *     leases/PID-RANDOM       the keys of stages that a living process holds, see `Lease`
 *     locks/leases            held while a lease is written, and while stages are pruned
 *
 * A stage appears whole, by one rename, after its bytes are on the disk. So whoever finds one needs no lock; only who goes on
 * using it must hold it, or it may be pruned.
 */
import {randomBytes} from 'node:crypto';
import {appendFileSync, constants, rmSync} from 'node:fs';
import {access, mkdir, readFile, rename, rm, stat, utimes, writeFile} from 'node:fs/promises';
import path from 'node:path';
import type {EventSink} from '../event/event.ts';
import {asLabError, LabError} from '../host/error.ts';
import {folders} from '../host/folder.ts';
import {failure} from '../host/failure.ts';
import {interruption} from '../host/interruption.ts';
import {withLock} from '../host/lock.ts';
import {identify, isAlive, type ProcessIdentity} from '../host/process.ts';
import {writeFileWhole} from '../host/whole-file.ts';
import {explainFullDisk} from './full-disk.ts';
import {lockOf, makeScratch, scratchFolder} from './scratch.ts';
import {flush, flushTree, makeReadOnly, removeTree} from './seal.ts';
import {describeFiles, filesName, findDifferences, logName, lookAt, madeStage, namesIn, readMarks, readRecord, recordName, type StageRecord} from './stage-record.ts';
import type {MadeStage, PruneOptions, StageRequest, StageWork, Store} from './store.ts';

/**
 * Opens the store, and clears what dead makers left in it.
 *
 * @param folder default: the cache folder of this user
 */
export async function openStore(folder: string = folders().cache): Promise<Store> {
	const store = new DiskStore(folder);
	await store.clearScratch();
	return store;
}

interface MakeOptions {
	readonly events: EventSink;
	readonly signal: AbortSignal;
}

/** How the name of a stage's log ends. */
function logEnd(key: string): string {
	return `-${key.slice(0, 12)}.log`;
}

/** Adds a line to a log. Where the disk is full the line is lost, and whoever makes the stage will notice. */
function note(log: string, text: string): void {
	try {
		appendFileSync(log, `${text}\n`);
	} catch {
		// A progress report may come from anywhere, and nobody there would take an error.
	}
}

/** The content of a lease: it holds as long as its process lives. */
interface Lease {
	readonly holder: ProcessIdentity;
	readonly keys: readonly string[];
}

/** What this process holds, and where that is written: one lease for each store, however often it is opened. */
const ownLeases = new Map<string, {readonly file: string; readonly keys: Set<string>}>();

function ownLease(folder: string): {readonly file: string; readonly keys: Set<string>} {
	const known = ownLeases.get(folder);
	if (known !== undefined) {
		return known;
	}

	const lease = {file: path.join(folder, `${process.pid}-${randomBytes(4).toString('hex')}`), keys: new Set<string>()};
	ownLeases.set(folder, lease);
	if (ownLeases.size === 1) {
		// One that is left by a process that was killed is cleared by whoever reads it next.
		process.once('exit', () => {
			for (const {file} of ownLeases.values()) {
				rmSync(file, {force: true});
			}
		});
	}

	return lease;
}

function textOf(record: StageRecord): string {
	return `${JSON.stringify(record, undefined, '\t')}\n`;
}

class DiskStore implements Store {
	readonly folder: string;
	/** The marks of files that this process has read and could not record, by the key of their stage. */
	readonly #read = new Map<string, Readonly<Record<string, string>>>();

	constructor(folder: string) {
		this.folder = path.resolve(folder);
	}

	async find(key: string): Promise<MadeStage | undefined> {
		const folder = this.#stage(key);
		const record = await readRecord(folder);
		if (record === undefined || (await this.#look(folder, record)).length > 0) {
			return undefined;
		}

		const now = new Date();
		// In a cache of somebody else's nothing can be marked, and need not be: who may not write does not prune.
		await utimes(path.join(folder, recordName), now, now).catch(() => {});
		return madeStage(folder, record);
	}

	async problems(key: string): Promise<string[]> {
		const folder = this.#stage(key);
		const record = await readRecord(folder);
		return record === undefined ? [] : this.#look(folder, record);
	}

	/** Why a stage is none any more. Where files had to be read for that, it is recorded that they are what they were. */
	async #look(folder: string, record: StageRecord): Promise<string[]> {
		const known = this.#read.get(record.key);
		const {problems, marks} = await lookAt(folder, known === undefined ? record : {...record, marks: known});
		if (marks !== undefined) {
			this.#read.set(record.key, marks);
			// It may have been made anew meanwhile. In a cache of somebody else's it cannot be written; each process reads them once then.
			if ((await readRecord(folder))?.madeAt === record.madeAt) {
				await writeFileWhole(path.join(folder, recordName), textOf({...record, marks}), 0o444).catch(() => {});
			}
		}

		return [...problems];
	}

	async make(request: StageRequest, options: MakeOptions): Promise<MadeStage> {
		const {name: stage, key, turn = async (work) => work()} = request;
		const {events, signal} = options;
		const cached = async (): Promise<MadeStage | undefined> => {
			const found = await this.find(key);
			if (found !== undefined) {
				events({type: 'stage', reason: 'cached', stage, key});
			}

			return found;
		};

		try {
			for (;;) {
				// Undefined where another command makes it now.
				const made = await cached() ?? await turn(async () => this.#alone(key, async () => await cached() ?? this.#makeLocked(request, options), signal));
				if (made !== undefined) {
					return made;
				}

				// Its end is waited for without a place, and without a lock of our own on anything that is only to be made later.
				await withLock(this.#lock(key), async () => {}, {
					signal,
					onWait(holder) {
						events({type: 'stage', reason: 'waiting', stage, key, holder});
					},
				});
			}
		} catch (error) {
			throw await explainFullDisk(error, this.folder);
		}
	}

	async hold(keys: readonly string[], signal: AbortSignal): Promise<void> {
		// In a cache of somebody else's nothing can be written, and need not be: who may not write does not prune.
		if (await access(this.folder, constants.W_OK).then(() => false, (error: NodeJS.ErrnoException) => error.code !== 'ENOENT')) {
			return;
		}

		try {
			await withLock(this.#lock('leases'), async () => {
				await this.#readLeases();
				const {file, keys: held} = ownLease(this.#leases);
				for (const key of keys) {
					held.add(key);
				}

				const lease: Lease = {holder: await identify(process.pid, ''), keys: [...held]};
				await mkdir(this.#leases, {recursive: true});
				await writeFileWhole(file, JSON.stringify(lease), 0o644);
			}, {signal});
		} catch (error) {
			throw await explainFullDisk(error, this.folder);
		}
	}

	async list(): Promise<MadeStage[]> {
		const records = await Promise.all((await namesIn(this.#stages)).map(async (key) => {
			const folder = this.#stage(key);
			const record = await readRecord(folder);
			return record === undefined ? undefined : madeStage(folder, record);
		}));
		return records.filter((stage) => stage !== undefined).sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.madeAt - b.madeAt));
	}

	async verify({key}: MadeStage): Promise<string[]> {
		const folder = this.#stage(key);
		const record = await readRecord(folder);
		return record === undefined ? [`${recordName} is missing or cannot be read`] : findDifferences(folder, record);
	}

	async prune({unusedSince, keep}: PruneOptions): Promise<MadeStage[]> {
		const removed: MadeStage[] = [];
		await withLock(this.#lock('leases'), async () => {
			const held = await this.#readLeases();
			const kept = await keep?.();
			for (const stage of (await this.list()).filter(({key}) => !held.has(key) && kept?.has(key) !== true)) {
				await this.#alone(stage.key, async () => {
					const used = await stat(path.join(this.#stage(stage.key), recordName)).catch(() => undefined);
					if (used !== undefined && used.mtimeMs <= unusedSince) {
						await this.#remove(stage.key);
						removed.push(stage);
					}
				});
			}
		});

		await this.clearScratch();
		// What is left there is being made, and its log goes with it into the stage.
		const made = (await namesIn(this.#scratch)).map((name) => logEnd(name));
		for (const name of (await namesIn(this.#logs)).filter((each) => !made.some((end) => each.endsWith(end)))) {
			const log = path.join(this.#logs, name);
			const written = await stat(log).catch(() => undefined);
			if (written !== undefined && written.mtimeMs <= unusedSince) {
				await rm(log, {force: true});
			}
		}

		return removed;
	}

	async remove(keys: readonly string[], keep: NonNullable<PruneOptions['keep']>): Promise<{removed: MadeStage[]; inUse: MadeStage[]}> {
		const [removed, inUse]: [MadeStage[], MadeStage[]] = [[], []];
		await withLock(this.#lock('leases'), async () => {
			const held = await this.#readLeases();
			const kept = await keep();
			for (const stage of (await this.list()).filter(({key}) => keys.includes(key))) {
				let gone = false;
				if (!held.has(stage.key) && !kept.has(stage.key)) {
					await this.#alone(stage.key, async () => {
						await this.#remove(stage.key);
						gone = true;
					});
				}

				(gone ? removed : inUse).push(stage);
			}
		});
		return {removed, inUse};
	}

	/** Removes what makers left that are dead: whoever lives holds the lock of what he makes. */
	async clearScratch(): Promise<void> {
		for (const name of await namesIn(this.#scratch)) {
			await this.#alone(name.split('.')[0]!, async () => removeTree(path.join(this.#scratch, name)));
		}
	}

	/** The keys that living processes hold. The leases of dead ones are removed. Under the lock of the leases. */
	async #readLeases(): Promise<ReadonlySet<string>> {
		const held = new Set<string>();
		for (const name of await namesIn(this.#leases)) {
			const file = path.join(this.#leases, name);
			const lease = await readFile(file, 'utf8').then((text) => JSON.parse(text) as Lease).catch(() => undefined);
			// What cannot be read was being written when its process died: the lock was free since.
			if (lease === undefined || !(await isAlive(lease.holder))) {
				await rm(file, {force: true});
				continue;
			}

			for (const key of lease.keys) {
				held.add(key);
			}
		}

		return held;
	}

	/** Does something under the lock of a key; nothing when somebody else has that lock, and gives undefined then. */
	async #alone<Value>(key: string, use: () => Promise<Value>, signal?: AbortSignal): Promise<Value | undefined> {
		try {
			return await withLock(this.#lock(key), use, {immediate: true, signal});
		} catch (error) {
			if (error instanceof LabError && error.code === 'locked') {
				return undefined;
			}

			throw error;
		}
	}

	async #makeLocked(request: StageRequest, {events, signal}: MakeOptions): Promise<MadeStage> {
		const {name: stage, key} = request;
		const start = performance.now();
		const seconds = (): number => (performance.now() - start) / 1000;
		events({type: 'stage', reason: 'started', stage, key});
		const log = path.join(this.#logs, `${stage.replaceAll(/[^\w.-]+/g, '-')}${logEnd(key)}`);
		let folder: string | undefined;
		try {
			await Promise.all([this.#stages, this.#logs].map(async (each) => mkdir(each, {recursive: true})));
			// A stage that lost a file, or has one that was altered, is no stage any more.
			const broken = await this.problems(key);
			if (broken.length > 0) {
				events({type: 'note', level: 'warning', text: `The stage ${stage} that was made before is not whole, and is made again: ${broken.join('; ')}`});
			}

			await this.#remove(key);
			folder = await makeScratch(this.folder, key);
			const out = path.join(folder, 'stage', filesName);
			const scratch = path.join(folder, 'work');
			await mkdir(out, {recursive: true});
			await mkdir(scratch);
			await writeFile(log, `${stage} ${key}\n`);
			const work: StageWork = {
				key, out, scratch, signal, log,
				progress(text) {
					note(log, text);
					events({type: 'stage', reason: 'progress', stage, key, text});
				},
			};
			await request.make(work);
			if (signal.aborted) {
				throw interruption(signal);
			}

			const made = await this.#keep(path.dirname(out), request, seconds, log, signal);
			events({type: 'stage', reason: 'made', stage, key, seconds: made.seconds, bytes: made.bytes});
			return made;
		} catch (thrown) {
			// Whatever a maker rejects with once it was told to stop, it is for that.
			const error = signal.aborted ? interruption(signal) : await this.#explain(thrown, stage, log);
			events({type: 'stage', reason: 'failed', stage, key, seconds: seconds(), error: asLabError(error).toJSON()});
			throw error;
		} finally {
			if (folder !== undefined) {
				await removeTree(folder);
			}
		}
	}

	/** A program that failed is told as the stage that could not be made, with the log of all of it. */
	async #explain(thrown: unknown, stage: string, log: string): Promise<unknown> {
		const error = await explainFullDisk(thrown, this.folder);
		return error instanceof LabError && error.code === 'program-failed' ? failure.stageFailed(stage, error, log) : error;
	}

	/** Makes what is in the folder the stage of the key: all or nothing, even when the power fails. */
	async #keep(folder: string, {name, key, writable, madeFor}: StageRequest, seconds: () => number, log: string, signal: AbortSignal): Promise<MadeStage> {
		const files = path.join(folder, filesName);
		await makeReadOnly(files, writable);
		// Writing to the disk and reading take their time from different parts of a computer.
		const [described] = await Promise.all([describeFiles(files), flushTree(files)]);
		const record: StageRecord = {name, key, madeFor, ...described, marks: await readMarks(folder, described.entries), madeAt: Date.now(), seconds: seconds()};
		await writeFile(path.join(folder, recordName), textOf(record), {mode: 0o444});
		await rename(log, path.join(folder, logName)).catch(async (error: NodeJS.ErrnoException) => {
			if (error.code !== 'ENOENT') {
				throw error;
			}

			// Nothing depends on it: where somebody has tidied up, the stage has an empty one.
			await writeFile(path.join(folder, logName), '');
		});
		for (const each of [recordName, logName, '.']) {
			await flush(path.join(folder, each));
		}

		// To read and write gigabytes takes its time.
		if (signal.aborted) {
			throw interruption(signal);
		}

		await rename(folder, this.#stage(key));
		await flush(this.#stages);
		return madeStage(this.#stage(key), record);
	}

	/** Takes a stage away; in one step, so that nobody finds half of it. */
	async #remove(key: string): Promise<void> {
		const end = await makeScratch(this.folder, key);
		try {
			await rename(this.#stage(key), path.join(end, 'stage'));
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
				throw error;
			}
		} finally {
			await removeTree(end);
		}
	}

	get #stages(): string {
		return path.join(this.folder, 'stages');
	}

	get #scratch(): string {
		return scratchFolder(this.folder);
	}

	get #leases(): string {
		return path.join(this.folder, 'leases');
	}

	get #logs(): string {
		return path.join(this.folder, 'logs');
	}

	#stage(key: string): string {
		return path.join(this.#stages, key);
	}

	#lock(key: string): string {
		return lockOf(this.folder, key);
	}
}
