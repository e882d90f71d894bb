import {readdir} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type {LabEvent} from '../../lab/event/event.ts';
import {LabError} from '../../lab/host/error.ts';
import {failure} from '../../lab/host/failure.ts';
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
