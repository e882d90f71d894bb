import {readFile, rm, stat, truncate, writeFile} from 'node:fs/promises';
import {chmod, mkdir} from 'node:fs/promises';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {noEvents} from '../../lab/event/event.ts';
import {LabError} from '../../lab/host/error.ts';
import type {Plan} from '../../lab/plan/plan.ts';
import {readyLabName} from '../../lab/plan/ready-lab.ts';
import {frozenMachine, memoryFiles} from '../../lab/runtime/frozen-lab.ts';
import {findKeptLab, type Freezable, keepLab} from '../../lab/runtime/kept-lab.ts';
import {inputsOfReadyLab} from '../../lab/runtime/ready-lab.ts';
import {openStore} from '../../lab/store/open-store.ts';
import type {MadeStage, Store} from '../../lab/store/store.ts';
import {standInPlan, withStateFolder} from './stand-ins.ts';

const {signal} = new AbortController();

interface Scene {
	readonly store: Store;
	readonly lab: Freezable;
	readonly plan: Plan;
	/** Changes this computer's QEMU. */
	upgrade(version: string, properties?: string): Promise<void>;
	/** Makes a stage of the plan again, with other bytes. */
	remake(name: string, content: string): Promise<MadeStage>;
}

/** A computer whose QEMU only tells its version, with the stages of a plan in its store, and a lab that freezes into files of a few bytes. */
async function withStore(use: (scene: Scene) => Promise<void>): Promise<void> {
	await withStateFolder(async (folder) => {
		const before = {...process.env};
		const qemu = path.join(folder, 'bin/qemu-system-x86_64');
		await mkdir(path.dirname(qemu));
		const upgrade = async (version: string, properties = ''): Promise<void> => {
			await writeFile(qemu, `#!/bin/sh\n[ "$1" = --version ] && echo "QEMU emulator version ${version}" && exit\n[ "$1" = -object ] && echo "  ${properties}" && exit\necho "vmlab probe: begins"; echo "vmlab probe: done"; echo "Kernel panic"\n`);
			await chmod(qemu, 0o755);
		};

		await upgrade('7.2.22');
		process.env['PATH'] = `${path.dirname(qemu)}:${process.env['PATH'] ?? ''}`;
		process.env['VMLAB_CACHE_DIR'] = path.join(folder, 'cache');
		try {
			const store = await openStore();
			const bare = standInPlan(['node-1', 'node-2']);
			const names = ['image tiny', 'layer node', 'disk', 'component that no machine has'];
			const keyOf = (name: string): string => String(names.indexOf(name) + 1).repeat(64);
			const plan: Plan = {...bare, stages: names.map((name) => ({name, key: keyOf(name), needs: [], recipe: {} as Plan['stages'][number]['recipe']}))};
			const remake = async (name: string, content: string): Promise<MadeStage> => {
				await rm(path.join(store.folder, 'stages', keyOf(name)), {recursive: true, force: true});
				return store.make({
					name, key: keyOf(name),
					make: async ({out}) => writeFile(path.join(out, 'vmlinuz'), content),
				}, {events: noEvents, signal});
			};

			const made = new Map(await Promise.all(names.map(async (name) => [name, await remake(name, name)] as const)));
			await use({
				store, plan, upgrade, remake,
				lab: {
					plan, made,
					async freeze(target, inputs) {
						for (const {name} of plan.machines) {
							await mkdir(path.join(target, name));
							await writeFile(frozenMachine(target, name).memory, 'memory', {mode: 0o600});
							await writeFile(frozenMachine(target, name).state, 'state', {mode: 0o600});
						}

						await writeFile(path.join(target, 'frozen.json'), JSON.stringify({format: 1, inputs, plan, frozenAt: 0, machines: [], networks: []}), {mode: 0o600});
					},
				},
			});
		} finally {
			process.env['PATH'] = before['PATH'];
			if (before['VMLAB_CACHE_DIR'] === undefined) {
				delete process.env['VMLAB_CACHE_DIR'];
			} else {
				process.env['VMLAB_CACHE_DIR'] = before['VMLAB_CACHE_DIR'];
			}
		}
	});
}

async function findError(t: ExecutionContext, store: Store, name: string): Promise<LabError> {
	return t.throwsAsync(findKeptLab('frozen', name, store, signal), {instanceOf: LabError});
}

test.serial('a lab that was kept is found with all that a fork of it needs', async (t) => {
	await withStore(async ({store, lab, plan}) => {
		const stage = await keepLab(lab, 'frozen', 'monday', {
			store, events: noEvents, signal,
			attach: async (folder) => writeFile(path.join(folder, 'story'), 'mine'),
		});
		const kept = await findKeptLab('frozen', 'monday', store, signal);
		t.deepEqual(kept.plan, plan);
		t.is(kept.folder, stage.folder);
		t.is(await readFile(path.join(kept.folder, 'story'), 'utf8'), 'mine');
		t.is(kept.made.get(readyLabName)?.folder, stage.folder);
		t.deepEqual([...kept.made.keys()].sort(), [...plan.stages.map(({name}) => name), readyLabName].sort());
		const modes = await Promise.all(memoryFiles(plan).map(async (file) => (await stat(path.join(stage.folder, file))).mode & 0o777));
		t.deepEqual(modes, [0o600, 0o600]);
		t.is((await stat(frozenMachine(stage.folder, 'node-1').state)).mode & 0o777, 0o400);
		t.deepEqual(await store.verify(stage), []);
	});
});

test.serial('where QEMU opens what was frozen for reading alone, nobody may write to it', async (t) => {
	await withStore(async ({store, lab, plan, upgrade}) => {
		await upgrade('10.0.13', 'rom=<OnOffAuto>');
		const stage = await keepLab(lab, 'frozen', 'monday', {store, events: noEvents, signal});
		const modes = await Promise.all(memoryFiles(plan).map(async (file) => (await stat(path.join(stage.folder, file))).mode & 0o777));
		t.deepEqual(modes, [0o400, 0o400]);
	});
});

test.serial('what was found is not pruned as long as its finder lives', async (t) => {
	await withStore(async ({store, lab, plan}) => {
		await keepLab(lab, 'frozen', 'monday', {store, events: noEvents, signal});
		await keepLab(lab, 'frozen', 'tuesday', {store, events: noEvents, signal});
		// By a command of its own: what this process made or found is not held by that.
		await findKeptLab('frozen', 'monday', await openStore(), signal);
		const removed = await store.prune({unusedSince: Date.now() + 1000});
		t.deepEqual(removed.map(({name}) => name), ['frozen tuesday']);
		t.is((await store.list()).length, plan.stages.length + 1);
	});
});

test.serial('a name is taken once', async (t) => {
	await withStore(async ({store, lab}) => {
		await keepLab(lab, 'frozen', 'monday', {store, events: noEvents, signal});
		const error = await t.throwsAsync(keepLab(lab, 'frozen', 'monday', {store, events: noEvents, signal}), {instanceOf: LabError});
		t.is(error.code, 'frozen-name-taken');
		t.is(error.exitCode, 2);
		await t.notThrowsAsync(keepLab(lab, 'checkpoint', 'monday', {store, events: noEvents, signal}), 'checkpoints have names of their own');
	});
});

test.serial('of two who want one name at once one gets it, and the other is told that it is taken', async (t) => {
	await withStore(async ({store, lab}) => {
		const keep = async (who: string): Promise<MadeStage> => keepLab(lab, 'frozen', 'monday', {
			store, events: noEvents, signal,
			attach: async (folder) => writeFile(path.join(folder, 'story'), who),
		});
		const outcomes = await Promise.allSettled([keep('one'), keep('two')]);
		const [kept, ...more] = outcomes.flatMap((outcome, index) => (outcome.status === 'fulfilled' ? [{stage: outcome.value, who: index === 0 ? 'one' : 'two'}] : []));
		t.deepEqual(more, []);
		t.is(await readFile(path.join(kept!.stage.folder, 'story'), 'utf8'), kept!.who);
		t.deepEqual(outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [(outcome.reason as LabError).code] : [])), ['frozen-name-taken']);
	});
});

test.serial('a name that nothing was kept as is told with those that there are', async (t) => {
	await withStore(async ({store, lab}) => {
		const none = await findError(t, store, 'monday');
		t.is(none.code, 'no-such-frozen-lab');
		t.is(none.exitCode, 2);
		t.regex(none.hint ?? '', /None is kept/);
		await keepLab(lab, 'frozen', 'monday', {store, events: noEvents, signal});
		await keepLab(lab, 'checkpoint', 'run/one', {store, events: noEvents, signal});
		const other = await findError(t, store, 'mondya');
		t.regex(other.hint ?? '', /Did you mean `monday`/);
		t.false((other.hint ?? '').includes('run/one'));
	});
});

test.serial('a lab that was frozen with another QEMU is not found, and both are told', async (t) => {
	await withStore(async ({store, lab, upgrade}) => {
		await keepLab(lab, 'frozen', 'monday', {store, events: noEvents, signal});
		await upgrade('8.2.0');
		const error = await findError(t, store, 'monday');
		t.is(error.code, 'frozen-lab-stale');
		t.is(error.exitCode, 4);
		t.deepEqual(error.details, ['qemu was QEMU emulator version 7.2.22 and is QEMU emulator version 8.2.0']);
		await upgrade('7.2.22');
		await t.notThrowsAsync(findKeptLab('frozen', 'monday', store, signal));
	});
});

test.serial('a lab that runs on a stage which is gone, or has other bytes now, is not found, and the stage is told', async (t) => {
	await withStore(async ({store, lab, remake}) => {
		await keepLab(lab, 'frozen', 'monday', {store, events: noEvents, signal});
		await remake('layer node', 'another layer');
		t.deepEqual((await findError(t, store, 'monday')).details, ['the stage layer node was made again, with another content']);
		await rm(path.join(store.folder, 'stages', lab.made.get('layer node')!.key), {recursive: true});
		const error = await findError(t, store, 'monday');
		t.is(error.code, 'frozen-lab-stale');
		t.deepEqual(error.details, ['the stage layer node is not there any more']);
		// The same bytes again are as good as the old ones.
		await remake('layer node', 'layer node');
		await t.notThrowsAsync(findKeptLab('frozen', 'monday', store, signal));
		await rm(path.join(store.folder, 'stages', lab.made.get('component that no machine has')!.key), {recursive: true});
		await t.notThrowsAsync(findKeptLab('frozen', 'monday', store, signal), 'what no machine runs on is not missed');
	});
});

test.serial('a lab that is not whole any more is told as broken, not as one that never was', async (t) => {
	await withStore(async ({store, lab, plan}) => {
		const {folder} = await keepLab(lab, 'frozen', 'monday', {store, events: noEvents, signal});
		await truncate(path.join(folder, memoryFiles(plan)[1]!), 3);
		const cut = await findError(t, store, 'monday');
		t.is(cut.code, 'frozen-lab-broken');
		t.is(cut.exitCode, 4);
		t.true(cut.message.includes(folder));
		t.regex(cut.message, /node-2\/memory had 6 bytes and has 3$/);
		await rm(path.join(folder, 'frozen.json'));
		t.is((await findError(t, store, 'monday')).code, 'frozen-lab-broken');
		// Its name is free again.
		await keepLab(lab, 'frozen', 'monday', {store, events: noEvents, signal});
		await t.notThrowsAsync(findKeptLab('frozen', 'monday', store, signal));
	});
});

test.serial('a lab with memory that was altered, and has the size that it had, is refused with the machine\'s name', async (t) => {
	await withStore(async ({store, lab, plan}) => {
		const {folder} = await keepLab(lab, 'frozen', 'monday', {store, events: noEvents, signal});
		const memory = path.join(folder, memoryFiles(plan)[0]!);
		await writeFile(memory, 'Memory');
		const altered = await findError(t, store, 'monday');
		t.is(altered.code, 'frozen-lab-broken');
		t.regex(altered.message, /node-1\/memory was altered, last on /);
		await writeFile(memory, 'memory');
		await t.notThrowsAsync(findKeptLab('frozen', 'monday', store, signal), 'another time alone is nothing');
	});
});

test.serial('a record that cannot be read is told as broken', async (t) => {
	await withStore(async ({store, lab}) => {
		const {folder} = await keepLab(lab, 'frozen', 'monday', {store, events: noEvents, signal});
		const file = path.join(folder, 'frozen.json');
		await chmod(file, 0o600);
		await writeFile(file, (await readFile(file, 'utf8')).replace('"format":1', '"format":2'));
		const format = await findError(t, store, 'monday');
		t.is(format.code, 'frozen-lab-broken');
		t.regex(format.message, /format 2/);
		await writeFile(file, '{');
		t.is((await findError(t, store, 'monday')).code, 'frozen-lab-broken');
	});
});

test.serial('what a lab depends on is the same when it is asked twice, and another one with another QEMU', async (t) => {
	await withStore(async ({lab, plan, upgrade}) => {
		const one = await inputsOfReadyLab(plan, lab.made);
		t.deepEqual(await inputsOfReadyLab(plan, lab.made), one);
		t.is(one.computer['qemu'], 'QEMU emulator version 7.2.22');
		await upgrade('7.2.23');
		t.notDeepEqual(await inputsOfReadyLab(plan, lab.made), one);
	});
});
