import {spawn, type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {chmod, mkdir, readdir, readFile, rm, stat, utimes, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {createInterface} from 'node:readline';
import test from 'ava';
import type {StageEvent} from '../../lab/event/event.ts';
import {failure} from '../../lab/host/failure.ts';
import {run} from '../../lab/host/program.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {until} from '../../lab/host/wait.ts';
import {openStore} from '../../lab/store/open-store.ts';
import type {MadeStage, StageRequest, Store} from '../../lab/store/store.ts';

const key = 'a'.repeat(64);
const otherKey = 'b'.repeat(64);

/** Makes a stage with one file, and gives the events. */
async function makeOne(store: Store, request: Partial<StageRequest> = {}, signal = new AbortController().signal): Promise<{stage: MadeStage; events: StageEvent[]}> {
	const events: StageEvent[] = [];
	const stage = await store.make({
		name: 'test stage', key,
		async make({out}) {
			await mkdir(path.join(out, 'folder'));
			await writeFile(path.join(out, 'folder/file'), 'content');
		},
		...request,
	}, {
		events(event) {
			if (event.type === 'stage') {
				events.push(event);
			}
		},
		signal,
	});
	return {stage, events};
}

async function names(folder: string): Promise<string[]> {
	return (await readdir(folder).catch(() => [])).sort();
}

test('what was made is found, and not made again', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		t.is(await store.find(key), undefined);
		const first = await makeOne(store, {madeFor: 'ipv4'});
		t.deepEqual(first.events.map(({reason}) => reason), ['started', 'made']);
		t.is(first.stage.madeFor, 'ipv4');
		t.is(await readFile(path.join(first.stage.folder, 'folder/file'), 'utf8'), 'content');
		const second = await makeOne(await openStore(folder), {make: async () => t.fail()});
		t.deepEqual(second.events.map(({reason}) => reason), ['cached']);
		t.deepEqual(second.stage, first.stage);
		t.deepEqual(await store.find(key), first.stage);
		t.deepEqual(await store.list(), [first.stage]);
	});
});

test('the files of a made stage are read-only, and its makings leave nothing else', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const {stage} = await makeOne(await openStore(folder));
		t.is((await stat(path.join(stage.folder, 'folder/file'))).mode & 0o222, 0);
		t.deepEqual(await names(path.join(folder, 'scratch')), []);
		t.deepEqual(await names(path.join(folder, 'logs')), []);
		t.deepEqual(await names(path.join(folder, 'stages')), [key]);
	});
});

test('files that were named keep their owner\'s right to write, and all others lose it', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		const {stage} = await makeOne(store, {
			writable: ['node-1/memory', 'not/there'],
			async make({out}) {
				await mkdir(path.join(out, 'node-1'));
				await mkdir(path.join(out, 'node-10'));
				await writeFile(path.join(out, 'node-1/memory'), 'memory', {mode: 0o600});
				await writeFile(path.join(out, 'node-1/state'), 'state', {mode: 0o600});
				await writeFile(path.join(out, 'node-10/memory'), 'memory', {mode: 0o644});
			},
		});
		const modes = await Promise.all(['node-1/memory', 'node-1/state', 'node-10/memory'].map(async (file) => (await stat(path.join(stage.folder, file))).mode & 0o777));
		t.deepEqual(modes, [0o600, 0o400, 0o444]);
		t.deepEqual(await store.verify(stage), []);
		// What can be written to is checked like all else.
		await writeFile(path.join(stage.folder, 'node-1/memory'), 'Memory');
		t.regex((await store.verify(stage)).join(), /^node-1\/memory was altered/);
	});
});

test('a stage has a digest of what is in it: the same for the same bytes, however they were made', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		const {stage: one} = await makeOne(store);
		const {stage: same} = await makeOne(store, {key: otherKey, name: 'another one'});
		t.regex(one.digest, /^[\da-f]{64}$/);
		t.is(same.digest, one.digest);
		t.is((await (await openStore(folder)).find(key))?.digest, one.digest);
		t.is((await store.list())[0]?.digest, one.digest);
		const digests = new Set([one.digest]);
		const others: Array<StageRequest['make']> = [
			async ({out}) => writeFile(path.join(out, 'file'), 'content'),
			async ({out}) => writeFile(path.join(out, 'file'), 'Content'),
			async ({out}) => writeFile(path.join(out, 'file'), 'content', {mode: 0o600}),
			async ({out}) => writeFile(path.join(out, 'other'), 'content'),
			async () => {},
		];
		for (const [index, make] of others.entries()) {
			digests.add((await makeOne(store, {key: String(index).repeat(64), make})).stage.digest);
		}

		t.is(digests.size, others.length + 1);
	});
});

test('a failed make leaves only its log, and the next one starts anew', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		const failing = makeOne(store, {
			async make(work) {
				await writeFile(path.join(work.out, 'half'), '');
				work.progress('on the way');
				throw failure.programFailed('false', 'ended with exit code 1', ['no luck'], work.log);
			},
		});
		const error = await t.throwsAsync(failing, {code: 'stage-failed'});
		t.like(error, {kind: 'component', exitCode: 5});
		t.is(await store.find(key), undefined);
		t.deepEqual(await names(path.join(folder, 'scratch')), []);
		t.deepEqual(await names(path.join(folder, 'stages')), []);
		const [log] = await names(path.join(folder, 'logs'));
		t.regex(await readFile(path.join(folder, 'logs', log!), 'utf8'), /on the way/);
		await makeOne(store);
		t.deepEqual(await names(path.join(folder, 'logs')), []);
	});
});

test('an interrupted make leaves nothing, even when its maker did not notice', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		const controller = new AbortController();
		await t.throwsAsync(makeOne(store, {
			async make({out}) {
				await writeFile(path.join(out, 'half'), '');
				controller.abort(failure.interrupted('SIGINT'));
			},
		}, controller.signal), {code: 'interrupted'});
		t.is(await store.find(key), undefined);
		t.deepEqual(await names(path.join(folder, 'scratch')), []);
	});
});

test('an interrupted make whose maker rejects with an error of its own for that is told as interrupted', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		const controller = new AbortController();
		const reasons: string[] = [];
		const making = store.make({
			name: 'test stage', key,
			async make({out, signal}) {
				controller.abort(failure.interrupted('SIGINT'));
				// Rejects with an AbortError, as all of Node.js does.
				await writeFile(path.join(out, 'half'), 'made', {signal});
			},
		}, {
			events(event) {
				if (event.type === 'stage') {
					reasons.push(event.reason === 'failed' ? event.error.code : event.reason);
				}
			},
			signal: controller.signal,
		});
		t.is(await t.throwsAsync(making), controller.signal.reason);
		t.deepEqual(reasons, ['started', 'interrupted']);
		t.deepEqual(await names(path.join(folder, 'scratch')), []);
	});
});

/** A maker in a process of its own, and what it says. */
function startMaker(folder: string, ...words: readonly string[]): {child: ChildProcess; lines: Array<Record<string, unknown>>; said: (property: string) => Promise<void>; silent: Promise<unknown>} {
	const child = spawn(process.execPath, ['--import=tsx', path.join(import.meta.dirname, 'maker.ts'), folder, key, ...words], {stdio: ['pipe', 'pipe', 'inherit']});
	const lines: Array<Record<string, unknown>> = [];
	const output = createInterface({input: child.stdout!}).on('line', (line) => lines.push(JSON.parse(line) as Record<string, unknown>));
	return {
		child, lines,
		// Of a process that has exited there may still be lines to read.
		silent: once(output, 'close'),
		async said(property) {
			await until(`a maker says \`${property}\``, async () => (lines.some((line) => property in line || line['reason'] === property)
				? {met: true, value: undefined} : {met: false, seen: JSON.stringify(lines)}), {deadline: 60_000, interval: 100});
		},
	};
}

test('two processes that want the same stage make it once, and the second says who it waits for', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const first = startMaker(folder);
		await first.said('making');
		const second = startMaker(folder);
		await second.said('waiting');
		first.child.stdin!.write('go on\n');
		await Promise.all([first.silent, second.silent]);
		t.deepEqual(first.lines.flatMap(({reason}) => reason ?? []), ['started', 'made']);
		t.deepEqual(second.lines.flatMap(({reason}) => reason ?? []), ['waiting', 'cached']);
		t.is(second.lines.find(({reason}) => reason === 'waiting')?.['holder'], `process ${first.child.pid}`);
		t.deepEqual(second.lines.at(-1), first.lines.at(-1));
	});
});

test('a stage that somebody else makes takes no turn while it is waited for, and none is kept from others by who only waits for a turn', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		const first = startMaker(folder);
		await first.said('making');
		const turns: string[] = [];
		const second = makeOne(store, {async turn(work) {
			turns.push('begins');
			try {
				return await work();
			} finally {
				turns.push('ends');
			}
		}});
		await until('the turn was given back', async () => (turns.at(-1) === 'ends' ? {met: true, value: undefined} : {met: false, seen: turns.join()}), {deadline: 60_000, interval: 20});
		// Another stage, whose turn does not come for now: who wants it meanwhile makes it.
		let come = (): void => {};
		const third = makeOne(store, {key: otherKey, async turn(work) {
			await new Promise<void>((resolve) => {
				come = resolve;
			});
			return work();
		}});
		await makeOne(await openStore(folder), {key: otherKey});
		come();
		t.deepEqual((await third).events.map(({reason}) => reason), ['cached']);
		first.child.stdin!.write('go on\n');
		await once(first.child, 'exit');
		t.deepEqual((await second).events.map(({reason}) => reason), ['waiting', 'cached']);
		t.deepEqual(turns, ['begins', 'ends']);
	});
});

test('after a maker is killed the next command clears what it left, and the stage can be made', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const {child, said} = startMaker(folder, 'slow');
		await said('making');
		t.is((await names(path.join(folder, 'scratch'))).length, 1);
		await openStore(folder);
		t.is((await names(path.join(folder, 'scratch'))).length, 1, 'what a living maker works on stays');
		child.kill('SIGKILL');
		await once(child, 'exit');
		const store = await openStore(folder);
		await until('what the dead maker left is cleared', async () => {
			await openStore(folder);
			const left = await names(path.join(folder, 'scratch'));
			return left.length === 0 ? {met: true, value: undefined} : {met: false, seen: left.join(' ')};
		}, {deadline: 5000, interval: 200});
		t.is(await store.find(key), undefined);
		const {events} = await makeOne(store);
		t.deepEqual(events.map(({reason}) => reason), ['started', 'made']);
	});
});

test('a folder of scratch stays as long as who has it lives, and is gone with it; one that was killed left it to the next command', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const scratch = path.join(folder, 'scratch');
		const ended = startMaker(folder, 'scratch');
		await ended.said('scratch');
		await openStore(folder);
		t.is((await names(scratch)).length, 1);
		ended.child.stdin!.write('go on\n');
		await once(ended.child, 'exit');
		t.deepEqual(await names(scratch), []);

		const killed = startMaker(folder, 'scratch');
		await killed.said('scratch');
		killed.child.kill('SIGKILL');
		await once(killed.child, 'exit');
		t.is((await names(scratch)).length, 1);
		await until('what the killed process left is cleared', async () => {
			await openStore(folder);
			const left = await names(scratch);
			return left.length === 0 ? {met: true, value: undefined} : {met: false, seen: left.join(' ')};
		}, {deadline: 5000, interval: 200});
	});
});

test('no space left is told as such, whoever notices', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		const writing = makeOne(store, {make: async () => writeFile('/dev/full', 'x')});
		t.like(await t.throwsAsync(writing, {code: 'disk-full'}), {kind: 'host', exitCode: 4});
		const running = makeOne(store, {
			make: async ({log}) => {
				await run('dd', ['if=/dev/zero', 'of=/dev/full', 'count=1'], {log});
			},
		});
		await t.throwsAsync(running, {code: 'disk-full'});
		t.deepEqual(await names(path.join(folder, 'stages')), []);
	});
});

test('a disk that is really full leaves the store good', async (t) => {
	if (process.getuid?.() !== 0) {
		t.pass('only root can mount a small filesystem');
		return;
	}

	await withTemporaryFolder(async (folder) => {
		try {
			await run('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', folder]);
		} catch (error) {
			t.log(`not here: ${String(error)}`);
			t.pass();
			return;
		}

		try {
			const store = await openStore(folder);
			await makeOne(store, {key: otherKey});
			const filling = makeOne(store, {
				make: async ({out, log}) => {
					await run('dd', ['if=/dev/zero', `of=${path.join(out, 'big')}`, 'bs=64k', 'count=100'], {log});
				},
			});
			await t.throwsAsync(filling, {code: 'disk-full'});
			const writing = makeOne(store, {make: async ({out}) => writeFile(path.join(out, 'big'), Buffer.alloc(4 * 1024 * 1024))});
			await t.throwsAsync(writing, {code: 'disk-full'});
			t.deepEqual(await names(path.join(folder, 'stages')), [otherKey]);
			t.deepEqual(await names(path.join(folder, 'scratch')), []);
			t.deepEqual(await store.verify((await store.find(otherKey))!), []);
			await makeOne(store);
		} finally {
			await run('umount', [folder]);
		}
	});
});

test('verify finds what was altered, added, taken away', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		const {stage} = await makeOne(store);
		t.deepEqual(await store.verify(stage), []);
		const file = path.join(stage.folder, 'folder/file');
		await chmod(file, 0o644);
		await writeFile(file, 'CONTENT');
		await chmod(file, 0o444);
		t.regex((await store.verify(stage)).join(), /^folder\/file was altered: its sha256 was [\da-f]{64} and is [\da-f]{64}$/);
		await writeFile(path.join(stage.folder, 'more'), '');
		await rm(file);
		const problems = await store.verify(stage);
		t.true(problems.includes('folder/file is missing'));
		t.true(problems.includes('more was added'));
	});
});

test('a stage that lost a file is made again', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		const {stage} = await makeOne(store);
		await rm(path.join(stage.folder, 'folder/file'));
		t.is(await store.find(key), undefined);
		const {events} = await makeOne(store);
		t.deepEqual(events.map(({reason}) => reason), ['started', 'made']);
		t.truthy(await store.find(key));
	});
});

/** What the record of the stage says of its file. */
async function markOf(stage: MadeStage): Promise<string | undefined> {
	const {marks} = JSON.parse(await readFile(path.join(stage.folder, '../stage.json'), 'utf8')) as {marks?: Record<string, string>};
	return marks?.['folder/file'];
}

/** Writes to a file that may not be written to, and keeps its mode. */
async function alter(file: string, text: string): Promise<void> {
	await chmod(file, 0o644);
	await writeFile(file, text);
	await chmod(file, 0o444);
}

test('a stage with a file that was altered is never used, though it has the size that it had; it is made again, and the reason is told', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		const {stage} = await makeOne(store);
		t.regex(await markOf(stage) ?? '', /^\d+ 7 \d+$/, 'inode, size, time');
		await alter(path.join(stage.folder, 'folder/file'), 'CONTENT');
		t.is(await store.find(key), undefined);
		t.is(await (await openStore(folder)).find(key), undefined);
		t.regex((await store.problems(key)).join(), /^folder\/file was altered, last on \d{4}-.*Z: its sha256 is not that of when it was made$/);
		const notes: string[] = [];
		await store.make({name: 'test stage', key, make: async ({out}) => writeFile(path.join(out, 'file'), 'new')}, {
			events(event) {
				notes.push(event.type === 'note' ? event.text : event.type === 'stage' ? event.reason : '');
			},
			signal: new AbortController().signal,
		});
		t.deepEqual(notes.slice(0, 1).concat(notes.slice(2)), ['started', 'made']);
		t.regex(notes[1] ?? '', /^The stage test stage that was made before is not whole, and is made again: folder\/file was altered/);
		t.deepEqual(await store.problems(key), []);
		t.is(await readFile(path.join((await store.find(key))!.folder, 'file'), 'utf8'), 'new');
	});
});

test('what is missing, cut short or another thing is told by name; of what was never made nothing is', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		t.deepEqual(await store.problems(key), []);
		const {stage} = await makeOne(store);
		const file = path.join(stage.folder, 'folder/file');
		t.deepEqual(await store.problems(key), []);
		await alter(file, 'cont');
		t.deepEqual(await store.problems(key), ['folder/file had 7 bytes and has 4']);
		await rm(file);
		t.deepEqual(await store.problems(key), ['folder/file is missing']);
		await mkdir(file);
		t.deepEqual(await store.problems(key), ['folder/file is no file any more']);
	});
});

test('a file with another inode or time is read once, and when its content is what it was the stage is as good as before', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const {stage} = await makeOne(await openStore(path.join(folder, 'one')));
		const before = await markOf(stage);
		await utimes(path.join(stage.folder, 'folder/file'), 1000, 1000);
		const store = await openStore(path.join(folder, 'one'));
		t.deepEqual(await store.find(key), stage);
		const touched = await markOf(stage);
		t.not(touched, before);
		// A cache that is moved to another disk.
		await run('cp', ['--recursive', path.join(folder, 'one'), path.join(folder, 'two')]);
		const moved = await openStore(path.join(folder, 'two'));
		const found = await moved.find(key);
		t.is(found?.digest, stage.digest);
		t.not(await markOf(found!), touched);
		t.is((await stat(path.join(found!.folder, '../stage.json'))).mode & 0o777, 0o444);
		t.deepEqual(await moved.verify(found!), []);
		// A record from before there were marks.
		const record = path.join(found!.folder, '../stage.json');
		const {marks: _marks, ...old} = JSON.parse(await readFile(record, 'utf8')) as Record<string, unknown>;
		await alter(record, JSON.stringify(old));
		t.is((await (await openStore(path.join(folder, 'two'))).find(key))?.digest, stage.digest);
		t.not(await markOf(found!), undefined);
		await alter(record, JSON.stringify(old));
		await alter(path.join(found!.folder, 'folder/file'), 'CONTENT');
		t.is(await (await openStore(path.join(folder, 'two'))).find(key), undefined);
	});
});

test('a file with the inode, size and time that it had is not read; verify reads it', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		const {stage} = await makeOne(store);
		const file = path.join(stage.folder, 'folder/file');
		await run('cp', ['--preserve=timestamps', file, path.join(folder, 'before')]);
		await alter(file, 'CONTENT');
		await run('touch', ['--reference', path.join(folder, 'before'), file]);
		t.deepEqual(await store.find(key), stage);
		t.regex((await store.verify(stage)).join(), /^folder\/file was altered/);
	});
});

test('a cache that cannot be written to is read once by each process', async (t) => {
	if (process.getuid?.() !== 0) {
		t.pass('only root can mount');
		return;
	}

	await withTemporaryFolder(async (folder) => {
		const [own, sealed] = [path.join(folder, 'own'), path.join(folder, 'sealed')];
		const {stage} = await makeOne(await openStore(own));
		const file = path.join(stage.folder, 'folder/file');
		const before = await markOf(stage);
		await utimes(file, 1000, 1000);
		await run('cp', ['--preserve=timestamps', file, path.join(folder, 'before')]);
		await mkdir(sealed);
		try {
			await run('mount', ['--bind', own, sealed]);
		} catch {
			t.pass('not here');
			return;
		}

		try {
			await run('mount', ['-o', 'remount,ro,bind', sealed]);
			const store = await openStore(sealed);
			t.is((await store.find(key))?.digest, stage.digest);
			t.is(await markOf(stage), before);
			await alter(file, 'CONTENT');
			await run('touch', ['--reference', path.join(folder, 'before'), file]);
			t.is((await store.find(key))?.digest, stage.digest, 'it is not read again');
			t.is(await (await openStore(sealed)).find(key), undefined, 'but by the next one');
		} finally {
			await run('umount', [sealed]);
		}
	});
});

test('what a maker made unremovable is removed all the same', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		await makeOne(store, {
			async make({scratch}) {
				await mkdir(path.join(scratch, 'a/b'), {recursive: true});
				await writeFile(path.join(scratch, 'a/b/file'), '');
				await chmod(path.join(scratch, 'a/b'), 0o500);
				await chmod(path.join(scratch, 'a'), 0o500);
			},
		});
		t.deepEqual(await names(path.join(folder, 'scratch')), []);
	});
});

test('what a dead maker left mounted is unmounted, not removed', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const [scratch, precious] = [path.join(folder, `store/scratch/${key}.left`), path.join(folder, 'precious')];
		await mkdir(path.join(scratch, 'a b'), {recursive: true});
		await mkdir(precious);
		await writeFile(path.join(precious, 'file'), 'of the host');
		try {
			await run('mount', ['--bind', precious, path.join(scratch, 'a b')]);
		} catch {
			t.pass('only root can mount');
			return;
		}

		await openStore(path.join(folder, 'store'));
		t.deepEqual(await names(path.join(folder, 'store/scratch')), []);
		t.is(await readFile(path.join(precious, 'file'), 'utf8'), 'of the host');
	});
});

test('prune removes what was not used since, but nothing that is to be kept', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		const [old, kept, used] = [key, otherKey, 'c'.repeat(64)];
		for (const each of [old, kept, used]) {
			const {stage} = await makeOne(store, {key: each});
			const longAgo = new Date(Date.now() - 1_000_000);
			await utimes(path.join(stage.folder, '../stage.json'), longAgo, longAgo);
		}

		await store.find(used);
		const removed = await store.prune({unusedSince: Date.now() - 500_000, keep: async () => new Set([kept])});
		t.deepEqual(removed.map((stage) => stage.key), [old]);
		t.deepEqual(await names(path.join(folder, 'stages')), [kept, used]);
		t.deepEqual(await names(path.join(folder, 'scratch')), []);
	});
});

test('prune leaves the log of what is being made, and a stage does without one that is gone', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		const stale = path.join(folder, 'logs', 'other-000000000000.log');
		const {stage} = await makeOne(store, {
			async make({out, log}) {
				await writeFile(stale, 'of a making that failed');
				// Another process's prune: the lock of the key is held by ours, whoever asks.
				await store.prune({unusedSince: Date.now() + 1000});
				t.is(await stat(stale).catch(() => undefined), undefined);
				t.true((await stat(log)).isFile());
				await rm(log);
				await writeFile(path.join(out, 'file'), 'text');
			},
		});
		t.is(await readFile(path.join(stage.folder, '../log'), 'utf8'), '');
	});
});

const now = (): {unusedSince: number} => ({unusedSince: Date.now() + 1000});

test('a stage that is named is removed however new it is, unless it is in use', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		const third = 'c'.repeat(64);
		for (const each of [key, otherKey, third]) {
			await makeOne(store, {key: each});
		}

		const keep = async (): Promise<ReadonlySet<string>> => new Set([otherKey]);
		const outcome = await store.remove([key, otherKey], keep);
		t.deepEqual(outcome.removed.map((stage) => stage.key), [key]);
		t.deepEqual(outcome.inUse.map((stage) => stage.key), [otherKey]);
		t.deepEqual((await store.list()).map((stage) => stage.key).sort(), [otherKey, third]);
		await store.hold([third], new AbortController().signal);
		t.deepEqual((await store.remove([third], keep)).inUse.map((stage) => stage.key), [third]);
	});
});

test('what a living process holds is not pruned, made before or after; afterwards it is, and its lease is gone', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		const {child, said} = startMaker(folder, 'hold');
		await said('holding');
		await makeOne(store);
		await makeOne(store, {key: otherKey});
		t.deepEqual((await store.prune(now())).map((stage) => stage.key), [otherKey]);
		t.not(await store.find(key), undefined);
		child.stdin!.write('go on\n');
		await once(child, 'exit');
		t.deepEqual(await names(path.join(folder, 'leases')), []);
		t.deepEqual((await store.prune(now())).map((stage) => stage.key), [key]);
	});
});

test('a killed process holds nothing, and a broken lease neither', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		const {child, said} = startMaker(folder, 'hold');
		await said('holding');
		await makeOne(store);
		child.kill('SIGKILL');
		await once(child, 'exit');
		await writeFile(path.join(folder, 'leases/4711-half'), '{"holder"');
		t.deepEqual((await store.prune(now())).map((stage) => stage.key), [key]);
		t.deepEqual(await names(path.join(folder, 'leases')), []);
	});
});

test('who runs is asked what a lab uses only when it is known who holds stages', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(folder);
		const {child, said} = startMaker(folder, 'hold');
		await said('holding');
		await makeOne(store);
		// It hands its stage on to a lab and ends, while this looks.
		const removed = await store.prune({
			...now(),
			async keep() {
				child.stdin!.write('go on\n');
				await once(child, 'exit');
				return new Set();
			},
		});
		t.deepEqual(removed, [], 'its lease was read before');
		t.deepEqual((await store.prune({...now(), keep: async () => new Set([key])})), [], 'and now the lab has it');
	});
});
