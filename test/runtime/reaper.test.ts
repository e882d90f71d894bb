import {mkdir, readdir, symlink, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {chooseLab} from '../../lab/cli/lab-choice.ts';
import type {LabError} from '../../lab/host/error.ts';
import {type Daemon, spawnDaemon} from '../../lab/host/program.ts';
import {identify, isAlive, type ProcessIdentity} from '../../lab/host/process.ts';
import {identifySelf} from '../../lab/runtime/lab-folder.ts';
import {type LabRecord, newRecord, writeRecord} from '../../lab/runtime/lab-record.ts';
import {memoryFolderOf, memoryFolderPrefix, ownerLink} from '../../lab/runtime/memory.ts';
import {clearDeadLabs} from '../../lab/runtime/reaper.ts';
import {withStateFolder} from './stand-ins.ts';

/** A process that sleeps and has these words on its command line. */
async function sleeper(folder: string, ...words: string[]): Promise<{daemon: Daemon; identity: ProcessIdentity}> {
	const daemon = await spawnDaemon('sh', ['-c', 'sleep 300; true', ...words], {cwd: folder, log: path.join(folder, 'sleep.log')});
	return {daemon, identity: await identify(daemon.pid, words.join(' '))};
}

const deadOwner: ProcessIdentity = {pid: 2 ** 22 - 1, startTime: '1', marker: 'nobody'};

async function layOutLab(folder: string, name: string, changes: Partial<LabRecord>): Promise<string> {
	const place = path.join(folder, 'state/labs', name);
	await mkdir(path.join(place, 'node-1'), {recursive: true});
	await writeRecord(place, {...newRecord({name, supervisor: deadOwner, labKey: ''}), ...changes});
	await writeFile(path.join(place, 'node-1/disk.qcow2'), 'x');
	return place;
}

function machineOf(process: ProcessIdentity): LabRecord['machines'][number] {
	return {name: 'node-1', role: 'node', state: 'ready', pid: process.pid, process, ssh: {host: '127.0.0.1', port: 1, user: 'root', hostKey: ''}};
}

test.serial('of a dead lab its machines, its memory and its folder are cleared', async (t) => {
	await withStateFolder(async (folder) => {
		const shared = path.join(folder, 'shm');
		const machine = await sleeper(folder, '-name', 'dead/node-1,debug-threads=on');
		const lab = path.join(folder, 'state/labs/dead');
		const memoryFolder = memoryFolderOf(lab, shared);
		await layOutLab(folder, 'dead', {machines: [machineOf(machine.identity)], memoryFolder});
		await mkdir(memoryFolder, {recursive: true});
		await writeFile(path.join(memoryFolder, 'node-1'), 'x');
		t.deepEqual(await clearDeadLabs(shared), ['dead']);
		t.false(await isAlive(machine.identity));
		t.deepEqual(await readdir(path.dirname(lab)), []);
		t.deepEqual(await readdir(shared), []);
		t.deepEqual(await clearDeadLabs(shared), []);
	});
});

test.serial('of a lab whose supervisor was lost its logs are kept, and the next who asks for it is told', async (t) => {
	await withStateFolder(async (folder) => {
		const lab = await layOutLab(folder, 'lost', {machines: [machineOf(deadOwner)]});
		await writeFile(path.join(lab, 'supervisor.log'), 'Error: no more memory\u001B[2J\n    at once\n');
		await writeFile(path.join(lab, 'events.jsonl'), '{}\n');
		await mkdir(path.join(lab, 'node-1'), {recursive: true});
		await writeFile(path.join(lab, 'node-1/console.log'), 'Kernel panic\n');
		await layOutLab(folder, 'ran', {});
		// What a run that failed has left is not touched.
		for (const name of ['lost', 'ran']) {
			await mkdir(path.join(folder, 'state/evidence', name, 'node-1'), {recursive: true});
		}

		await t.throwsAsync(chooseLab('lost'), {code: 'no-such-lab'});
		t.deepEqual((await readdir(path.join(folder, 'state/evidence/lost/lost'))).sort(), ['events.jsonl', 'node-1.console.log', 'supervisor.log']);
		t.deepEqual((await readdir(path.join(folder, 'state/evidence'))).sort(), ['lost', 'ran'], 'a lab without a supervisor has no last words');
		t.deepEqual(await readdir(path.join(folder, 'state/evidence/ran')), ['node-1']);
		t.deepEqual((await readdir(path.join(folder, 'state/evidence/lost'))).sort(), ['lost', 'node-1']);
		t.deepEqual(await readdir(path.join(folder, 'state/labs')), []);
	});
});

test.serial('who asks for a lab that was lost is told what its supervisor said last, without its terminal escapes', async (t) => {
	await withStateFolder(async (folder) => {
		const lab = await layOutLab(folder, 'lost', {});
		await writeFile(path.join(lab, 'supervisor.log'), 'Error: no more memory\u001B[2J\n');
		const error = await t.throwsAsync<LabError>(chooseLab('lost'));
		t.regex(error?.details.join('\n') ?? '', /its supervisor was lost[^]*Error: no more memory$/);
		t.is(error?.log, path.join(folder, 'state/evidence/lost/lost'));
	});
});

test.serial('a lab whose owner lives is left alone', async (t) => {
	await withStateFolder(async (folder) => {
		const machine = await sleeper(folder, '-name', 'alive/node-1,debug-threads=on');
		await layOutLab(folder, 'alive', {supervisor: await identifySelf(), machines: [machineOf(machine.identity)]});
		t.deepEqual(await clearDeadLabs(path.join(folder, 'shm')), []);
		t.true(await isAlive(machine.identity));
		t.deepEqual(await readdir(path.join(folder, 'state/labs')), ['alive']);
		machine.daemon.kill('SIGKILL');
	});
});

test.serial('a lab of another vmlab, whose records have another form, is left alone unless its owner is dead', async (t) => {
	await withStateFolder(async (folder) => {
		const owners = {living: await identifySelf(), dead: deadOwner, unknown: 'somewhere else'};
		for (const [name, supervisor] of Object.entries(owners)) {
			const lab = await layOutLab(folder, name, {});
			await writeFile(path.join(lab, 'lab.json'), JSON.stringify({format: 2, name, supervisor}));
		}

		t.deepEqual(await clearDeadLabs(path.join(folder, 'shm')), ['dead']);
		t.deepEqual((await readdir(path.join(folder, 'state/labs'))).sort(), ['living', 'unknown']);
	});
});

test.serial('a process whose id was used again is left alone', async (t) => {
	await withStateFolder(async (folder) => {
		const stranger = await sleeper(folder, 'something', 'else');
		for (const [name, changes] of Object.entries({marker: {marker: '-name reused/node-1,debug-threads=on'}, time: {startTime: '1'}})) {
			await layOutLab(folder, name, {machines: [machineOf({...stranger.identity, ...changes})]});
			t.deepEqual(await clearDeadLabs(path.join(folder, 'shm')), [name]);
			t.true(await isAlive(stranger.identity));
		}

		stranger.daemon.kill('SIGKILL');
	});
});

test.serial('a record that names foreign files as its memory removes nothing of them', async (t) => {
	await withStateFolder(async (folder) => {
		const shared = path.join(folder, 'shm');
		await mkdir(path.join(shared, 'precious'), {recursive: true});
		await layOutLab(folder, 'evil', {memoryFolder: path.join(shared, 'precious')});
		t.deepEqual(await clearDeadLabs(shared), ['evil']);
		t.deepEqual(await readdir(shared), ['precious']);
	});
});

test.serial('a folder without a record, folders of dead claims and memory without a lab are cleared', async (t) => {
	await withStateFolder(async (folder) => {
		const shared = path.join(folder, 'shm');
		const labs = path.join(folder, 'state/labs');
		await mkdir(path.join(labs, 'empty'), {recursive: true});
		await mkdir(path.join(labs, `.claim-${deadOwner.pid}-abc`));
		await mkdir(path.join(labs, `.claim-${process.pid}-abc`));
		await mkdir(path.join(labs, `.gone-x-1-${deadOwner.pid}-123.4`));
		const memory = memoryFolderOf(path.join(labs, 'lost'), shared);
		await mkdir(memory, {recursive: true});
		await symlink(path.join(labs, 'lost'), path.join(memory, ownerLink));
		await mkdir(memoryFolderOf(path.join(labs, 'unfinished'), shared));
		const coming = (pid: number): string => `.${memoryFolderPrefix()}${pid}-abc`;
		await mkdir(path.join(shared, coming(deadOwner.pid)));
		await mkdir(path.join(shared, coming(process.pid)));
		t.deepEqual(await clearDeadLabs(shared), ['empty']);
		t.deepEqual(await readdir(labs), [`.claim-${process.pid}-abc`]);
		t.deepEqual(await readdir(shared), [coming(process.pid)]);
	});
});

test.serial('two commands clear at once without harm', async (t) => {
	await withStateFolder(async (folder) => {
		await layOutLab(folder, 'dead', {});
		const cleared = await Promise.all([clearDeadLabs(path.join(folder, 'shm')), clearDeadLabs(path.join(folder, 'shm'))]);
		t.deepEqual(cleared.flat(), ['dead']);
	});
});
