import {writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {openStore} from '../../lab/store/open-store.ts';
import {outcomeText, vmlab, type CommandOutcome} from '../rig/command.ts';

const signal = new AbortController().signal;

test('one stage is removed by the name that it was kept under, as a checkpoint, or by the beginning of its key; not what is in use', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const store = await openStore(path.join(folder, 'cache'));
		const make = async (name: string, letter: string, needs: readonly string[] = []): Promise<void> => {
			await store.make({
				name, key: letter.repeat(64),
				async make({out}) {
					await writeFile(path.join(out, 'frozen.json'), JSON.stringify({format: 1, plan: {stages: needs.map((each) => ({key: each.repeat(64)}))}}));
				},
			}, {events() {}, signal});
		};

		await make('image bookworm', 'a');
		await make('frozen broken', 'b', ['a']);
		await make('checkpoint ipv4-1/02-pods', 'c');
		await make('ready lab', 'd');
		await make('ready lab', 'e');
		const cache = async (...words: string[]): Promise<CommandOutcome> => vmlab(['cache', ...words], {env: {VMLAB_CACHE_DIR: path.join(folder, 'cache'), VMLAB_STATE_DIR: path.join(folder, 'state')}});
		const left = async (): Promise<string[]> => (await store.list()).map(({key}) => key[0]!).sort();
		const used = await cache('remove', 'aaaa');
		t.is(used.code, 2, outcomeText(used));
		t.regex(used.stderr, /in use[^]*image bookworm aaaaaaaaaaaa: frozen broken runs on it/);
		const several = await cache('remove', 'ready lab');
		t.is(several.code, 2);
		t.regex(several.stderr, /Several stages[^]*ready lab dddddddddddd/);
		const none = await cache('rm', 'brokne');
		t.is(none.code, 2);
		t.regex(none.stderr, /Nothing in the cache is `brokne`[^]*Did you mean `broken`\?/);
		t.deepEqual(await left(), ['a', 'b', 'c', 'd', 'e']);
		const removed = await cache('remove', 'ipv4-1/02-pods', 'dddd');
		t.is(removed.code, 0, outcomeText(removed));
		t.regex(removed.stdout, /^checkpoint ipv4-1\/02-pods +cccccccccccc/m);
		t.deepEqual(await left(), ['a', 'b', 'e']);
		const both = await cache('rm', 'aaaa', 'broken', '-o', 'json');
		t.is(both.code, 0, outcomeText(both));
		t.deepEqual(await left(), ['e'], 'what is removed with it needs it no more');
		await store.hold(['e'.repeat(64)], signal);
		t.regex((await cache('rm', 'eeee')).stderr, /another command or lab uses it/);
	});
});
