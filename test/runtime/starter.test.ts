import test from 'ava';
import {identify} from '../../lab/host/process.ts';
import {watchStarter} from '../../lab/runtime/starter.ts';

test('a lab is given up when the command that waits for it has ended', async (t) => {
	const starter = await identify(process.pid, '');
	let looks = 0;
	let given = 0;
	await watchStarter(starter, new AbortController().signal, () => {
		given++;
	}, async () => {
		looks++;
		return looks < 3;
	});
	t.deepEqual({looks, given}, {looks: 3, given: 1});
});

test('a lab that got ready while one last look was on its way is not given up', async (t) => {
	const starter = await identify(process.pid, '');
	const ready = new AbortController();
	let given = 0;
	await watchStarter(starter, ready.signal, () => {
		given++;
	}, async () => {
		// The lab is ready, its starter has its answer and ends, and only then the look sees that.
		ready.abort();
		return false;
	});
	t.is(given, 0);
});
