import {mkdir, readdir, readFile, utimes, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type {LabEvent} from '../../lab/event/event.ts';
import {LabError} from '../../lab/host/error.ts';
import {failure} from '../../lab/host/failure.ts';
import {spawnDaemon} from '../../lab/host/program.ts';
import {until} from '../../lab/host/wait.ts';
import {findLab} from '../../lab/runtime/labs.ts';
import {clearDeadLabs} from '../../lab/runtime/reaper.ts';
import {endLab, startLab} from '../../lab/runtime/supervisor-client.ts';
import {processesOf} from '../rig/remains.ts';
import {standInPlan, standInStages, withStateFolder} from './stand-ins.ts';

test.serial('a boot that fails in the supervisor is told by it, and leaves nothing', async (t) => {
	await withStateFolder(async (folder) => {
		const state = path.join(folder, 'state');
		const made = await standInStages(folder);
		made.delete('image tiny');
		const events: LabEvent[] = [];
		const error = await t.throwsAsync(
			startLab({
				name: 'one', plan: standInPlan(), made, signal: new AbortController().signal,
				events(event) {
					events.push(event);
				},
			}),
			{instanceOf: LabError},
		);
		t.regex(error.message, /the stage "image tiny" of the plan was not made/);
		t.deepEqual(events.map((event) => (event.type === 'lab' ? event.reason : event.type)), ['starting', 'failed']);
		t.deepEqual(await readdir(path.join(state, 'labs')), []);
		t.deepEqual(await processesOf({name: 'one', state}), []);
	});
});

test.serial('a supervisor that dies at once is told with how it ended and its last words, and leaves nothing', async (t) => {
	await withStateFolder(async (folder) => {
		const state = path.join(folder, 'state');
		const made = await standInStages(folder);
		const before = process.env['NODE_OPTIONS'];
		process.env['NODE_OPTIONS'] = '--import=/no/such/module.js';
		try {
			const error = await t.throwsAsync(startLab({name: 'one', plan: standInPlan(), made, events() {}, signal: new AbortController().signal}), {instanceOf: LabError, code: 'supervisor-lost'});
			t.is(error.message, 'The supervisor of the lab one was lost: its process ended with exit code 1');
			t.regex(error.details.join('\n'), /Cannot find module '\/no\/such\/module\.js'/);
		} finally {
			if (before === undefined) {
				delete process.env['NODE_OPTIONS'];
			} else {
				process.env['NODE_OPTIONS'] = before;
			}
		}

		t.deepEqual(await readdir(path.join(state, 'labs')), []);
	});
});

test.serial('when whoever waits for a lab is killed before it is ready, the supervisor ends, and nothing is left', async (t) => {
	await withStateFolder(async (folder) => {
		const state = path.join(folder, 'state');
		const made = await standInStages(folder);
		// The boot hangs in its first program.
		const bin = path.join(folder, 'bin');
		await mkdir(bin);
		await writeFile(path.join(bin, 'qemu-system-x86_64'), '#!/bin/sh\nexec sleep 300\n', {mode: 0o755});
		const script = path.join(folder, 'start.mts');
		await writeFile(script, `
			import {startLab} from ${JSON.stringify(new URL('../../lab/runtime/supervisor-client.ts', import.meta.url).href)};
			await startLab({
				name: 'one', plan: ${JSON.stringify(standInPlan())}, made: new Map(${JSON.stringify([...made])}), events() {}, signal: new AbortController().signal,
			});
		`);
		const starter = await spawnDaemon('env', [
			`PATH=${bin}:${process.env['PATH'] ?? ''}`, `VMLAB_CACHE_DIR=${path.join(folder, 'cache')}`, process.execPath, '--import', import.meta.resolve('tsx'), script,
		], {cwd: folder, log: path.join(folder, 'log')});
		const place = {name: 'one', state};
		await until('the supervisor boots the lab', async () => {
			const record = await findLab('one');
			return record !== undefined && record.machines.length > 0 ? {met: true, value: undefined} : {met: false, seen: `${record?.state}: ${await readFile(path.join(folder, 'log'), 'utf8')}`};
		}, {deadline: 30_000, interval: 100});
		t.true((await processesOf(place)).length > 0);
		starter.kill('SIGKILL');
		await until('no process of the lab remains', async () => {
			const processes = await processesOf(place);
			return processes.length === 0 ? {met: true, value: undefined} : {met: false, seen: processes.join(', ')};
		}, {deadline: 30_000, interval: 100});
		t.deepEqual(await readdir(path.join(state, 'labs')), []);
	});
});

test.serial('an abort before the supervisor answers leaves nothing', async (t) => {
	await withStateFolder(async (folder) => {
		const state = path.join(folder, 'state');
		const made = await standInStages(folder);
		const controller = new AbortController();
		const starting = startLab({name: 'one', plan: standInPlan(), made, events() {}, signal: controller.signal});
		setTimeout(() => {
			controller.abort(failure.interrupted('SIGINT'));
		}, 100);
		await t.throwsAsync(starting, {message: 'Interrupted by SIGINT'});
		t.deepEqual(await readdir(path.join(state, 'labs')), []);
		t.deepEqual(await processesOf({name: 'one', state}), []);
		t.false(await endLab('one'));
		t.deepEqual(await clearDeadLabs(), []);
	});
});

test.serial('evidence that a boot keeps when it is interrupted is told to whoever waited for it; where there is none, nothing is', async (t) => {
	await withStateFolder(async (folder) => {
		const made = await standInStages(folder);
		// The boot hangs in its first program.
		const bin = path.join(folder, 'bin');
		await mkdir(bin);
		await writeFile(path.join(bin, 'qemu-system-x86_64'), '#!/bin/sh\nexec sleep 300\n', {mode: 0o755});
		const before = {PATH: process.env['PATH'], VMLAB_CACHE_DIR: process.env['VMLAB_CACHE_DIR']};
		Object.assign(process.env, {PATH: `${bin}:${before.PATH}`, VMLAB_CACHE_DIR: path.join(folder, 'cache')});
		try {
			for (const keeps of [true, false]) {
				const evidence = path.join(folder, `evidence-${keeps}`);
				await mkdir(evidence);
				await writeFile(path.join(evidence, 'of-an-earlier-boot'), '');
				await utimes(evidence, 0, 0);
				const controller = new AbortController();
				const events: LabEvent[] = [];
				const starting = t.throwsAsync(startLab({
					name: 'one', plan: standInPlan(), made, evidence, signal: controller.signal,
					events(event) {
						events.push(event);
					},
				}), {message: 'Interrupted by SIGINT'});
				await until('the supervisor boots the lab', async () => {
					const record = await findLab('one');
					return record !== undefined && record.machines.length > 0 ? {met: true, value: undefined} : {met: false, seen: String(record?.state)};
				}, {deadline: 60_000, interval: 100});
				if (keeps) {
					// As the supervisor does where a machine was powered on.
					await writeFile(path.join(evidence, 'lab.json'), '{}');
				}

				controller.abort(failure.interrupted('SIGINT'));
				await starting;
				t.deepEqual(events.filter(({type}) => type === 'evidence'), keeps ? [{type: 'evidence', scenario: 'one', path: evidence, files: 2}] : []);
			}
		} finally {
			for (const [name, value] of Object.entries(before)) {
				if (value === undefined) {
					delete process.env[name];
				} else {
					process.env[name] = value;
				}
			}
		}
	});
});
