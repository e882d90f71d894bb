import test from 'ava';
import {allOf} from '../../lab/runtime/together.ts';

test('of several that fail the first is thrown, when all have settled', async (t) => {
	const settled: string[] = [];
	const later = (async () => {
		await new Promise((resolve) => {
			setTimeout(resolve, 50);
		});
		settled.push('later');
	})();
	await t.throwsAsync(allOf([Promise.resolve(), Promise.reject(new Error('one')), later, Promise.reject(new Error('two'))]), {message: 'one'});
	t.deepEqual(settled, ['later']);
	await t.notThrowsAsync(allOf([]));
});
