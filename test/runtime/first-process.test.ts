import {mkdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type {LabEvent} from '../../lab/event/event.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {awaitFirstProcess} from '../../lab/runtime/first-process.ts';

test('a machine with nothing on its console is started again, and that is told', async (t) => {
	await withTemporaryFolder(async (folder) => {
		await mkdir(path.join(folder, 'node-1'));
		const events: LabEvent[] = [];
		let resets = 0;
		await awaitFirstProcess({
			name: 'node-1', folder, pace: 1, patience: 50, signal: new AbortController().signal,
			events: (event) => {
				events.push(event);
			},
			async reset() {
				resets += 1;
				if (resets === 2) {
					await writeFile(path.join(folder, 'node-1/console.log'), 'vmlab: the first process runs\n');
				}
			},
		});
		t.is(resets, 2);
		t.is(events.filter((event) => event.type === 'note' && event.text.includes('node-1 did not come to its first process')).length, 2);
	});
});

test('a machine whose first process runs is left alone', async (t) => {
	await withTemporaryFolder(async (folder) => {
		await mkdir(path.join(folder, 'node-1'));
		await writeFile(path.join(folder, 'node-1/console.log'), 'vmlab: the first process runs\n');
		await awaitFirstProcess({
			name: 'node-1', folder, pace: 1, patience: 50, signal: new AbortController().signal, events() {},
			async reset() {
				t.fail('it was reset');
			},
		});
		t.pass();
	});
});

test('the wait ends with its signal', async (t) => {
	await withTemporaryFolder(async (folder) => {
		await awaitFirstProcess({
			name: 'node-1', folder, pace: 1, signal: AbortSignal.timeout(50), events() {},
			async reset() {
				t.fail('it was reset');
			},
		});
		t.pass();
	});
});
