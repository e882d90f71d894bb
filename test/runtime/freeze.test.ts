/** The order in which a lab is frozen, and what becomes of it when something fails on the way: with machines that only say what they are told. */
import {once} from 'node:events';
import {mkdir, readFile, rm, stat, writeFile} from 'node:fs/promises';
import {createConnection} from 'node:net';
import path from 'node:path';
import test from 'ava';
import type {Fabric} from '../../lab/fabric/fabric.ts';
import {failure} from '../../lab/host/failure.ts';
import {run} from '../../lab/host/program.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import type {Machine} from '../../lab/machine/machine.ts';
import type {Qmp} from '../../lab/machine/qmp.ts';
import {type FreezableLab, freezeLab} from '../../lab/runtime/freeze.ts';
import {checkStates, frozenMachine, readFrozenLab} from '../../lab/runtime/frozen-lab.ts';
import {standInPlan} from './stand-ins.ts';

const names = ['node-1', 'node-2'];
const networks = [{name: 'cluster', stations: [], frames: [{port: 0, frame: 'AAAA'}]}];
const inputs = {plan: 'abc', stages: {}, computer: {}};

interface Scene {
	readonly lab: FreezableLab;
	readonly target: string;
	/** What was asked of machines and fabric, in order. */
	readonly asked: string[];
	/** Asked this, that machine fails. */
	readonly broken: Set<string>;
}

async function withLab(use: (scene: Scene) => Promise<void>): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		const asked: string[] = [];
		const broken = new Set<string>();
		const target = path.join(folder, 'target');
		await mkdir(target);
		await mkdir(path.join(folder, 'secrets'));
		await writeFile(path.join(folder, 'secrets/one'), 'a secret', {mode: 0o600});
		await writeFile(path.join(folder, 'ssh-key'), 'a key', {mode: 0o600});
		await writeFile(path.join(folder, 'ssh-key.pub'), 'its public half');
		const blankDisk = path.join(folder, 'stages/blank/files/disk.qcow2');
		await mkdir(path.dirname(blankDisk), {recursive: true});
		await run('qemu-img', ['create', '-q', '-f', 'qcow2', blankDisk, '1M']);
		const machines = await Promise.all(names.map(async (name) => {
			const own = path.join(folder, name);
			await mkdir(own);
			await Promise.all(['initramfs', 'memory', 'console.log'].map(async (file) => writeFile(path.join(own, file), `${file} of ${name}`)));
			await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', blankDisk, path.join(own, 'disk.qcow2')]);
			const execute = async (command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> => {
				asked.push(`${name} ${command}`);
				if (broken.has(`${name} ${command}`)) {
					throw failure.monitorLost(name, 'it has ended');
				}

				if (command === 'stop' && broken.has(`${name} is in the way`)) {
					await mkdir(frozenMachine(target, name).state);
				}

				if (command === 'migrate') {
					const socket = createConnection(path.join(folder, String(args?.['uri']).replace('unix:', '')));
					socket.on('error', () => {});
					await once(socket, 'connect');
					socket.end(`state of ${name}`);
				}

				return command === 'query-migrate' ? (broken.has(`${name} refuses`) ? {status: 'failed', 'error-desc': 'no more'} : {status: 'completed'}) : {};
			};

			const machine = {name, pid: process.pid, qmp: {execute} as Partial<Qmp> as Qmp} as Partial<Machine> as Machine;
			return {machine, memory: path.join(own, 'memory'), disk: path.join(own, 'disk.qcow2'), blankDisk, initramfs: path.join(own, 'initramfs'), consoleLog: path.join(own, 'console.log')};
		}));
		const fabric = {
			async hold() {
				asked.push('hold');
			},
			async state() {
				asked.push('state');
				return networks;
			},
			async release() {
				asked.push('release');
			},
		} as Partial<Fabric> as Fabric;
		await use({asked, broken, target, lab: {folder, plan: standInPlan(names), inputs, machines, fabric, clockAhead: 0, signal: new AbortController().signal}});
	});
}

/** Without what only prepares or looks. */
function deeds(asked: readonly string[]): string[] {
	return asked.filter((each) => /^\w+$| (?:stop|migrate|cont)$/.test(each));
}

test('networks are held first, then machines stop, then what is on its way is taken in, then states are saved; and all go on', async (t) => {
	await withLab(async ({lab, target, asked}) => {
		const before = Date.now();
		let seconds = 0;
		await freezeLab(lab, target, {
			goesOn: true,
			onStood(stood) {
				seconds = stood;
			},
		});
		t.true(seconds > 0 && seconds < 60);
		const told = deeds(asked);
		t.deepEqual([told[0], told.slice(1, 3).sort(), told[3], told.slice(4, 6).sort(), told.slice(6, 8).sort(), told[8]], [
			'hold', ['node-1 stop', 'node-2 stop'], 'state', ['node-1 migrate', 'node-2 migrate'], ['node-1 cont', 'node-2 cont'], 'release',
		]);
		t.is(told.length, 9);
		const frozen = await readFrozenLab(target);
		t.deepEqual(frozen.networks, networks);
		t.deepEqual(frozen.machines, names);
		t.deepEqual(frozen.inputs, inputs);
		t.true(frozen.frozenAt >= before && frozen.frozenAt <= Date.now());
		const later = path.join(target, '../later');
		await mkdir(later);
		const then = Date.now() + 1_000_000;
		await freezeLab({...lab, clockAhead: 1_000_000}, later, {goesOn: true});
		const {frozenAt} = await readFrozenLab(later);
		t.true(frozenAt >= then && frozenAt <= Date.now() + 1_000_000, 'by the guests\' clock');
		for (const name of names) {
			const {memory, state, disk, initramfs, console} = frozenMachine(target, name);
			t.deepEqual(await Promise.all([memory, state, initramfs, console].map(async (file) => readFile(file, 'utf8'))), [
				`memory of ${name}`, `state of ${name}`, `initramfs of ${name}`, `console.log of ${name}`,
			]);
			const {stdout} = await run('qemu-img', ['info', '--output=json', disk]);
			t.is((JSON.parse(stdout) as {'backing-filename': string})['backing-filename'], '../../../blank/files/disk.qcow2', 'wherever the store is');
		}

		await t.notThrowsAsync(checkStates(target, frozen));
		await writeFile(frozenMachine(target, 'node-2').state, 'state of node-3');
		await t.throwsAsync(checkStates(target, frozen), {code: 'frozen-lab-broken', message: /node-2 was altered/});
		await rm(frozenMachine(target, 'node-1').state);
		await t.throwsAsync(checkStates(target, frozen), {code: 'frozen-lab-broken', message: /ENOENT/});
		t.is(await readFile(path.join(target, 'secrets/one'), 'utf8'), 'a secret');
		t.is((await stat(path.join(target, 'ssh-key'))).mode & 0o777, 0o600);
		t.is((await stat(path.join(target, 'frozen.json'))).mode & 0o777, 0o600);
	});
});

test('a lab that is not to go on stands still afterwards', async (t) => {
	await withLab(async ({lab, target, asked}) => {
		await freezeLab(lab, target, {goesOn: false});
		t.deepEqual(deeds(asked).filter((each) => each.endsWith('cont') || each === 'release'), []);
	});
});

test('when one machine cannot be saved it is told, and all go on', async (t) => {
	await withLab(async ({lab, target, asked, broken}) => {
		broken.add('node-1 refuses');
		await t.throwsAsync(freezeLab(lab, target, {goesOn: true}), {code: 'machine-broke', message: /node-1.*no more/});
		t.deepEqual(deeds(asked).slice(-3).sort(), ['node-1 cont', 'node-2 cont', 'release']);
		t.is(asked.at(-1), 'release');
		t.true(asked.lastIndexOf('node-2 query-migrate') < asked.indexOf('node-1 cont'), 'nobody goes on while another is saved');
	});
});

test('when a machine has ended the others go on, with their networks, and what failed first is told', async (t) => {
	await withLab(async ({lab, target, asked, broken}) => {
		broken.add('node-1 query-migrate');
		broken.add('node-1 cont');
		await t.throwsAsync(freezeLab(lab, target, {goesOn: true}), {code: 'monitor-lost', message: /node-1/});
		t.true(asked.includes('node-2 cont'));
		t.is(asked.at(-1), 'release');
	});
});

test('a state that cannot be written is the system\'s error, not that of the machine, and all go on', async (t) => {
	await withLab(async ({lab, target, asked, broken}) => {
		broken.add('node-2 is in the way');
		await t.throwsAsync(freezeLab(lab, target, {goesOn: true}), {code: 'EISDIR'});
		t.deepEqual(deeds(asked).slice(-3).sort(), ['node-1 cont', 'node-2 cont', 'release']);
	});
});
