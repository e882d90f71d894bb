import test from 'ava';
import {createCleanup} from '../../lab/runtime/cleanup.ts';

test('everything is undone, the newest first, and each is told what failed before it', async (t) => {
	const undone: unknown[][] = [];
	const cleanup = createCleanup();
	for (const name of ['first', 'second', 'third']) {
		cleanup.add(async (failed) => {
			undone.push([name, (failed as Error | undefined)?.message]);
			if (name !== 'first') {
				throw new Error(`${name} on purpose`);
			}
		});
	}

	await t.throwsAsync(cleanup.run(), {message: 'third on purpose'});
	t.deepEqual(undone, [['third', undefined], ['second', 'third on purpose'], ['first', 'third on purpose']]);
	await t.notThrowsAsync(cleanup.run(), 'what was undone is not undone again');
});
