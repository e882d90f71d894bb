/** Rows of forks of one small machine: how soon it answers, a hundred one after the other, and freezing a fork again. */
import {once} from 'node:events';
import {createWriteStream} from 'node:fs';
import {mkdir} from 'node:fs/promises';
import {createServer, type Socket} from 'node:net';
import path from 'node:path';
import {pipeline} from 'node:stream/promises';
import {folders} from '../../lab/host/folder.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {until} from '../../lab/host/wait.ts';
import type {Machine} from '../../lab/machine/machine.ts';
import {remainsOf} from '../rig/remains.ts';
import {connectSsh, inputsOfReadyLab, probeAccelerator, startFabric, startMachine} from './compiled.ts';
import {prepareFork, smallScenario, withFork, withForkProject} from './fork-project.ts';
import {median, round, type Row, type RowSink} from './measure.ts';
import {diskUse} from './memory-use.ts';

const mebibyte = 1024 ** 2;
/** Forks for fork-to-ssh; one before them fills the page cache. */
const forks = 9;
/** Forks one after the other. */
const series = 100;
/** Of these, the first ones and the last ones are compared. */
const compared = 10;
/** Freezes of each kind. */
const freezes = 5;
/** What a fork writes before it is frozen again: MiB. */
const written = 64;

export async function measureSmallForks(wanted: ReadonlySet<string>, found: RowSink): Promise<void> {
	await withForkProject(async () => {
		await prepareFork(smallScenario);
		for (const [name, measure] of Object.entries({'fork-to-ssh': measureForkToSsh, 'fork-series': measureSeries, checkpoint: measureCheckpoint})) {
			if (wanted.has(name)) {
				await found(await measure());
			}
		}
	});
}

/** A fork that ends again, in seconds from the start: until it is ready, until ssh has taken a login, until a first command has ended. */
async function timeFork(): Promise<{ready: number; answered: number; commanded: number; name: string}> {
	const start = performance.now();
	const seconds = (): number => (performance.now() - start) / 1000;
	return withFork(await prepareFork(smallScenario), async (lab) => {
		const ready = seconds();
		const connection = await lab.ssh(lab.plan.machines[0]!.name);
		const answered = seconds();
		await connection.exec('true');
		return {ready, answered, commanded: seconds(), name: lab.name};
	});
}

/** From a scenario's name to an answered login: finding the frozen lab by its key, the fork, the handshake. */
async function measureForkToSsh(): Promise<Row> {
	const first = await timeFork();
	const times: Array<{ready: number; answered: number; commanded: number}> = [];
	for (let round = 0; round < forks; round++) {
		times.push(await timeFork());
	}

	const seconds = median(times.map(({answered}) => answered));
	return {
		name: 'fork-to-ssh', value: round(seconds), unit: 's', goal: '< 0.5', met: seconds < 0.5,
		compared: {
			'of these until the fork is ready, s': round(median(times.map(({ready}) => ready))), 'until a first command has ended, s': round(median(times.map(({commanded}) => commanded))),
			'quickest, s': round(Math.min(...times.map(({answered}) => answered))), 'the first of the process, s': round(first.answered), forks,
		},
	};
}

/** A hundred forks, one after the other: nothing is left of any, and the last are as quick as the first. */
async function measureSeries(): Promise<Row> {
	const {state} = folders();
	await timeFork();
	const times: number[] = [];
	let left = 0;
	for (let round = 0; round < series; round++) {
		const {answered, name} = await timeFork();
		times.push(answered);
		left += (await remainsOf({name, state})).length;
	}

	const [first, last] = [median(times.slice(0, compared)), median(times.slice(-compared))];
	const ratio = last / first;
	return {
		name: 'fork-series', value: round(ratio), unit: 'times', goal: '< 1.2, nothing left', met: ratio < 1.2 && left === 0,
		compared: {[`the first ${compared}, s`]: round(first), [`the last ${compared}, s`]: round(last), forks: series, 'things left behind': left},
	};
}

/** A fork that has written something is frozen again, as the program does it, and by letting QEMU write all of its memory. */
async function measureCheckpoint(): Promise<Row> {
	const prepared = await prepareFork(smallScenario);
	const inputs = await inputsOfReadyLab(prepared.plan, prepared.made);
	let machine: Machine | undefined;
	const parts = {
		probeAccelerator, startFabric, connectSsh,
		startMachine: async (...words: Parameters<typeof startMachine>) => {
			machine = await startMachine(...words);
			return machine;
		},
	};
	let stood = 0;
	const events = (event: {type: string; reason?: string; seconds?: number}): void => {
		stood = event.type === 'lab' && event.reason === 'frozen' ? event.seconds ?? 0 : stood;
	};
	return withFork(prepared, async (lab) => withTemporaryFolder(async (folder) => {
		const connection = await lab.ssh(prepared.plan.machines[0]!.name);
		await connection.exec(`mkdir /run/bench && mount -t tmpfs bench /run/bench && head -c ${written}M /dev/urandom >/run/bench/written`, {timeout: 600_000});
		const own: Array<{seconds: number; stood: number; bytes: number}> = [];
		const whole: Array<{seconds: number; bytes: number}> = [];
		for (let round = 0; round < freezes; round++) {
			const target = path.join(folder, `own-${round}`);
			await mkdir(target);
			const start = performance.now();
			await lab.freeze(target, inputs, {goesOn: true});
			own.push({seconds: (performance.now() - start) / 1000, stood, bytes: await diskUse(target)});
			whole.push(await migrateWhole(machine!, path.join(lab.folder, 'bench.sock'), path.join(folder, `whole-${round}`)));
		}

		return {
			name: 'checkpoint', value: round(median(own.map(({seconds}) => seconds))), unit: 's', goal: null, met: null,
			compared: {
				'own pages onto a copy, standing still, s': round(median(own.map((one) => one.stood))), 'MiB on the disk': round(median(own.map(({bytes}) => bytes)) / mebibyte),
				'QEMU writes all memory, standing still, s': round(median(whole.map(({seconds}) => seconds))), 'its MiB on the disk': round(median(whole.map(({bytes}) => bytes)) / mebibyte),
				'written by the fork before, MiB': written, freezes,
			},
		};
	}), {events, parts});
}

/** Stops a machine, has QEMU write all of it into a file, and lets it go on. */
async function migrateWhole({name, qmp}: Machine, socket: string, file: string): Promise<{seconds: number; bytes: number}> {
	const server = createServer();
	const taken = (async () => {
		const [connection] = await once(server, 'connection') as [Socket];
		await pipeline(connection, createWriteStream(file));
	})();
	server.listen(socket);
	await once(server, 'listening');
	try {
		const start = performance.now();
		await qmp.execute('stop');
		await qmp.execute('migrate-set-capabilities', {capabilities: [{capability: 'x-ignore-shared', state: false}]});
		await qmp.execute('migrate-set-parameters', {'max-bandwidth': 2 ** 40});
		await qmp.execute('migrate', {uri: `unix:${socket}`});
		await until(`${name} has written all of its memory`, async () => {
			const {status = 'none'} = await qmp.execute('query-migrate') as {status?: string};
			return status === 'completed' ? {met: true, value: undefined} : {met: false, seen: status};
		}, {deadline: 600_000, interval: 5});
		await taken;
		await qmp.execute('cont');
		return {seconds: (performance.now() - start) / 1000, bytes: await diskUse(file)};
	} finally {
		server.close();
	}
}
