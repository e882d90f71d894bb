import path from 'node:path';
import test from 'ava';
import {packageFolder} from '../../lab/host/folder.ts';
import {run} from '../../lab/host/program.ts';

test('a failure that a scenario does not wait for fails it, and ends neither this process nor other scenarios', async (t) => {
	const {stdout} = await run(process.execPath, ['--import=tsx', path.join(import.meta.dirname, 'forgotten-await.ts')], {cwd: packageFolder});
	const [forgotten, ...others] = stdout.trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
	t.deepEqual(forgotten, {
		code: 'not-awaited', exitCode: 3, line: 19,
		message: 'Something failed that the scenario did not wait for: during "b": `false` on node-1 ended with exit code 1',
	});
	t.deepEqual(others, [{passed: true}, {passed: true}]);
});
