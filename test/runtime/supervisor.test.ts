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
