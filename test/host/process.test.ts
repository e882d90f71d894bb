import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {setImmediate as turn} from 'node:timers/promises';
import test from 'ava';
import {endProcess, identify, isAlive, processorTimeOf} from '../../lab/host/process.ts';

test('a running process is alive by its id, start time and marker', async (t) => {
	const child = spawn('sleep', ['612']);
	const identity = await identify(child.pid!, 'sleep 612');
	t.true(await isAlive(identity));
	t.false(await isAlive({...identity, startTime: '1'}));
	t.false(await isAlive({...identity, marker: 'sleep 613'}));
	child.kill('SIGKILL');
	await once(child, 'close');
	t.false(await isAlive(identity));
});

test('a process that has ended cannot be identified', async (t) => {
	const child = spawn('true');
	await once(child, 'close');
	await t.throwsAsync(identify(child.pid!, 'true'), {code: 'program-failed'});
});

test('ending a process asks first, and kills what does not listen', async (t) => {
	const polite = spawn('sleep', ['614']);
	await endProcess(await identify(polite.pid!, 'sleep 614'), {grace: 5000});
	await turn();
	t.is(polite.signalCode ?? (await once(polite, 'close'))[1], 'SIGTERM');

	const deaf = spawn('sh', ['-c', 'trap "" TERM; echo ready; while :; do sleep 0.05; done']);
	await once(deaf.stdout, 'data');
	const closed = once(deaf, 'close');
	await endProcess(await identify(deaf.pid!, 'trap'), {grace: 300});
	t.is((await closed)[1], 'SIGKILL');
});

test('a process with another start time is left alone', async (t) => {
	const child = spawn('sleep', ['615']);
	await endProcess({pid: child.pid!, startTime: '1', marker: 'sleep 615'}, {grace: 0});
	t.true(await isAlive(await identify(child.pid!, 'sleep 615')));
	child.kill('SIGKILL');
	await once(child, 'close');
});

test('the work of a process is counted, that of its threads too', async (t) => {
	const before = await processorTimeOf(process.pid);
	const asked = process.cpuUsage();
	for (let used = 0; used < 200_000;) {
		const {user, system} = process.cpuUsage(asked);
		used = user + system;
	}

	t.true(await processorTimeOf(process.pid) - before >= 0.18);
	await t.throwsAsync(processorTimeOf(2 ** 22 + 1));
});
