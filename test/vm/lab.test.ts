/** Labs of real QEMU processes, with a guest of half a kilobyte that never answers: they start in a moment, whatever the computer. */
import {readdir, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type {LabEvent} from '../../lab/event/event.ts';
import {LabError} from '../../lab/host/error.ts';
import {failure} from '../../lab/host/failure.ts';
import {until} from '../../lab/host/wait.ts';
import {probeKernel} from '../../lab/machine/probe-kernel.ts';
import {bootLab, type BootRequest} from '../../lab/runtime/lab.ts';
import {listLabs, readLab} from '../../lab/runtime/labs.ts';
import {clearDeadLabs} from '../../lab/runtime/reaper.ts';
import {endLab, startLab} from '../../lab/runtime/supervisor-client.ts';
import {processesOf, remainsOf} from '../rig/remains.ts';
import {standInPlan, standInStages, withStateFolder} from '../runtime/stand-ins.ts';

interface Scene {
	readonly state: string;
	readonly folder: string;
	request(changes?: Partial<BootRequest>): BootRequest;
}

/** Stages and a plan of two machines whose guest does what it does at its end. */
async function withGuest(end: 'power-off' | 'halt', use: (scene: Scene) => Promise<void>): Promise<void> {
	await withStateFolder(async (folder) => {
		const made = await standInStages(folder);
		await writeFile(path.join(made.get('image tiny')!.folder, 'vmlinuz'), probeKernel({calls: 1, end}));
		const plan = standInPlan(['node-1', 'node-2']);
		await use({
			folder,
			state: path.join(folder, 'state'),
			request: (changes = {}) => ({
				name: 'one', made, events() {}, signal: new AbortController().signal,
				plan: {...plan, machines: plan.machines.map((machine) => ({...machine, memory: 32 * 1024 ** 2}))},
				...changes,
			}),
		});
	});
}

/** Resolves when the lab has as many machines that run. */
function whenStarted(count: number): {sink: (event: LabEvent) => void; started: Promise<void>} {
	let resolveStarted: () => void = () => {};
	const started = new Promise<void>((resolve) => {
		resolveStarted = resolve;
	});
	let seen = 0;
	return {
		started,
		sink(event) {
			if (event.type === 'machine' && event.reason === 'started') {
				seen += 1;
				if (seen === count) {
					resolveStarted();
				}
			}
		},
	};
}

test.serial('a machine that turns itself off fails the boot, with the end of its console in the evidence', async (t) => {
	await withGuest('power-off', async ({request, folder, state}) => {
		const evidence = path.join(folder, 'evidence');
		const error = await t.throwsAsync(bootLab(request({evidence})), {instanceOf: LabError});
		t.is(error.code, 'machine-exited');
		t.is(error.exitCode, 6);
		t.true(error.details.includes('vmlab probe: done'), error.details.join('\n'));
		t.regex(await readFile(error.log!, 'utf8'), /vmlab probe: done/);
		t.deepEqual(await remainsOf({name: 'one', state}), []);
		t.deepEqual(await readdir(path.join(state, 'labs')), []);
	});
});

test.serial('an interruption while machines boot leaves nothing', async (t) => {
	await withGuest('halt', async ({request, state}) => {
		const controller = new AbortController();
		const {sink, started} = whenStarted(2);
		const boot = t.throwsAsync(bootLab(request({signal: controller.signal, events: sink})), {message: 'Interrupted by SIGINT'});
		await started;
		t.is((await processesOf({name: 'one', state})).length, 2);
		controller.abort(failure.interrupted('SIGINT'));
		await boot;
		t.deepEqual(await remainsOf({name: 'one', state}), []);
	});
});

test.serial('after kill -9 of the supervisor no process remains within 5 s, and the next command clears the rest', async (t) => {
	await withGuest('halt', async ({request, state}) => {
		const {sink, started} = whenStarted(2);
		const starting = t.throwsAsync(startLab(request({events: sink})), {message: /supervisor of the lab one was lost/});
		await started;
		const {supervisor} = await readLab('one');
		t.is((await processesOf({name: 'one', state})).length, 3);
		process.kill(supervisor.pid, 'SIGKILL');
		await until('no process of the lab remains', async () => {
			const processes = await processesOf({name: 'one', state});
			return processes.length === 0 ? {met: true, value: undefined} : {met: false, seen: processes.join(', ')};
		}, {deadline: 5000, interval: 100});
		// Whoever started it sees its end, and clears up: so does the next command, whichever comes first.
		await starting;
		await clearDeadLabs();
		t.deepEqual(await remainsOf({name: 'one', state}), []);
		t.deepEqual(await readdir(path.join(state, 'labs')), []);
	});
});

test.serial('two labs run side by side, and the end of one is not the end of the other', async (t) => {
	await withGuest('halt', async ({request, state}) => {
		const [one, two] = [whenStarted(2), whenStarted(2)];
		const starting = [
			t.throwsAsync(startLab(request({events: one.sink}))),
			t.throwsAsync(startLab(request({name: 'two', events: two.sink}))),
		];
		await Promise.all([one.started, two.started]);
		const labs = await listLabs();
		t.deepEqual(labs.map(({name}) => name), ['one', 'two']);
		const ports = labs.flatMap(({machines, forwards}) => [...machines.map(({ssh}) => ssh.port), ...forwards.map(({hostPort}) => hostPort)]).filter((port) => port !== 0);
		t.is(new Set(ports).size, ports.length);
		t.true(await endLab('one'));
		t.deepEqual(await remainsOf({name: 'one', state}), []);
		t.is((await processesOf({name: 'two', state})).length, 3);
		t.true(await endLab('two'));
		t.deepEqual(await remainsOf({name: 'two', state}), []);
		await Promise.all(starting);
	});
});
