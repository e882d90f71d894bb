import {execFile} from 'node:child_process';
import {symlink} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {LabError} from '../../lab/host/error.ts';
import {failure} from '../../lab/host/failure.ts';
import {takeLock, withLock} from '../../lab/host/lock.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {until} from '../../lab/host/wait.ts';

test('one holder at a time, and the next is told who has it', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const file = path.join(folder, 'lock');
		const order: string[] = [];
		const release = await takeLock(file);
		const second = withLock(file, async () => {
			order.push('second');
		}, {
			onWait(holder) {
				order.push(`waits for ${holder}`);
				void release().then(() => order.push('released'));
			},
		});
		await second;
		t.deepEqual(order.slice(0, 1), [`waits for process ${process.pid}`]);
		t.true(order.includes('second'));
	});
});

test('a lock that is not waited for is refused', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const file = path.join(folder, 'lock');
		await withLock(file, async () => {
			await t.throwsAsync(takeLock(file, {immediate: true}), {code: 'locked'});
		});
		await withLock(file, async () => {}, {immediate: true});
	});
});

test('a wait for a lock can be aborted', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const file = path.join(folder, 'lock');
		await withLock(file, async () => {
			const controller = new AbortController();
			await t.throwsAsync(takeLock(file, {
				signal: controller.signal,
				onWait() {
					controller.abort(failure.interrupted('SIGINT'));
				},
			}), {code: 'interrupted'});
		});
	});
});

test('a file that cannot be locked is told with the reason, and is no interruption', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const file = path.join(folder, 'lock');
		await symlink(path.join(folder, 'missing/lock'), file);
		for (const immediate of [true, false]) {
			const error = await t.throwsAsync(takeLock(file, {immediate}), {instanceOf: LabError, code: 'program-failed'});
			t.is(error.kind, 'host');
			t.regex(error.message, /^`flock .*lock` ended with exit code \d+$/);
			t.regex(error.details.join('\n'), /cannot open lock file .*No such file or directory/);
		}
	});
});

test('the lock is released when its use fails', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const file = path.join(folder, 'lock');
		await t.throwsAsync(withLock(file, async () => {
			throw new Error('on purpose');
		}), {message: 'on purpose'});
		await withLock(file, async () => {}, {immediate: true});
		t.pass();
	});
});

test('the lock of a killed process is free', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const file = path.join(folder, 'lock');
		const module = path.join(import.meta.dirname, '../../lab/host/lock.ts');
		const code = `import {takeLock} from ${JSON.stringify(module)}; await takeLock(${JSON.stringify(file)}); console.log('taken'); setInterval(() => {}, 1000);`;
		const holder = execFile(process.execPath, ['--import=tsx', '--input-type=module', '-e', code]);
		await new Promise((resolve) => {
			holder.stdout?.once('data', resolve);
		});
		await t.throwsAsync(takeLock(file, {immediate: true}), {code: 'locked'});
		holder.kill('SIGKILL');
		await until('the lock is free', async () => {
			const release = await takeLock(file, {immediate: true});
			await release();
			return {met: true, value: undefined};
		}, {deadline: 5000, interval: 50});
	});
});
