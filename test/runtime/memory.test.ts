import {mkdir, mkdtemp, open, readdir, readlink, rm, stat, statfs, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {LabError} from '../../lab/host/error.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {memoryFolderOf, ownerLink, reserveMemory} from '../../lab/runtime/memory.ts';

const mebibyte = 1024 ** 2;
const machines = [{name: 'node-1', memory: 4 * mebibyte}, {name: 'node-2', memory: 2 * mebibyte}];

test('memory goes to shared memory where it has room, in private sparse files of the right size', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const lab = path.join(folder, 'labs/one');
		const shared = path.join(folder, 'shm');
		await Promise.all([mkdir(lab, {recursive: true}), mkdir(shared)]);
		const {folder: place, files} = await reserveMemory(lab, machines, {shared});
		t.is(place, memoryFolderOf(lab, shared));
		t.deepEqual(await readdir(shared), [path.basename(place)]);
		t.is(await readlink(path.join(place, ownerLink)), lab);
		t.is((await stat(place)).mode & 0o777, 0o700);
		for (const {name, memory} of machines) {
			const {size, blocks, mode} = await stat(files.get(name)!);
			t.deepEqual([size, blocks, mode & 0o777], [memory, 0, 0o600]);
		}

		await t.notThrowsAsync(reserveMemory(lab, machines, {shared}), 'what a dead lab of this folder left is no hindrance');
	});
});

test('where shared memory is too small the memory goes to the lab\'s folder', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const lab = path.join(folder, 'one');
		await Promise.all([mkdir(path.join(lab, 'node-1'), {recursive: true}), mkdir(path.join(lab, 'node-2'), {recursive: true})]);
		const {folder: place, files} = await reserveMemory(lab, machines, {shared: path.join(folder, 'missing')});
		t.is(place, lab);
		t.is(files.get('node-1'), path.join(lab, 'node-1/memory'));
		t.deepEqual(await readdir(lab), ['node-1', 'node-2']);
	});
});

test('memory that is promised to other labs does not count as room', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const lab = path.join(folder, 'labs/one');
		const other = path.join(folder, 'shm/vmlab-0-other');
		await Promise.all([...machines.map(async ({name}) => mkdir(path.join(lab, name), {recursive: true})), mkdir(other, {recursive: true})]);
		const file = await open(path.join(other, 'node-1'), 'w');
		await file.truncate(2 ** 43);
		await file.close();
		t.is((await reserveMemory(lab, machines, {shared: path.join(folder, 'shm')})).folder, lab);
	});
});

test('of two labs whose memory is in their own folders only one gets room that is there for one, also when both ask at once', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const {bavail, bsize} = await statfs(folder);
		const most = [{name: 'node-1', memory: Math.floor(bavail * bsize * 0.6)}];
		const reserve = async (lab: string): Promise<unknown> => reserveMemory(path.join(folder, 'labs', lab), most, {shared: path.join(folder, 'missing')});
		const labs = ['one', 'two', 'three'];
		await Promise.all(labs.map(async (lab) => mkdir(path.join(folder, 'labs', lab, 'node-1'), {recursive: true})));
		const outcomes = await Promise.allSettled(labs.slice(0, 2).map(reserve));
		t.deepEqual(outcomes.map(({status}) => status).sort(), ['fulfilled', 'rejected']);
		await t.throwsAsync(reserve('three'), {code: 'no-room-for-memory'});
		await Promise.all(labs.map(async (lab) => rm(path.join(folder, 'labs', lab, 'node-1/memory'), {force: true})));
		await t.notThrowsAsync(reserve('three'), 'what no lab has any more is room again');
	});
});

test('memory that fits nowhere is refused with the room that there is', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const lab = path.join(folder, 'one');
		await mkdir(lab);
		await writeFile(path.join(lab, 'x'), '');
		const error = await t.throwsAsync(reserveMemory(lab, [{name: 'node-1', memory: 2 ** 60}], {shared: folder}), {instanceOf: LabError});
		t.is(error.kind, 'host');
		t.is(error.details.length, 2);
		t.regex(error.details[0]!, /has \d+ MiB/);
	});
});

test('of two labs that ask at once only one gets room that is there for one', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const {bavail, bsize} = await statfs('/dev/shm');
		const shared = await mkdtemp('/dev/shm/test-');
		try {
			// More than half of the room: sparse, so nothing of it is taken.
			const half = [{name: 'node-1', memory: Math.floor(bavail * bsize * 0.6)}];
			const labs = ['one', 'two'].map((name) => path.join(folder, name));
			await Promise.all(labs.map(async (lab) => mkdir(path.join(lab, 'node-1'), {recursive: true})));
			const outcomes = await Promise.allSettled(labs.map(async (lab) => reserveMemory(lab, half, {shared})));
			// The other one's is on the disk, where that has the room.
			const inShared = outcomes.filter((outcome) => outcome.status === 'fulfilled' && outcome.value.folder.startsWith(shared));
			t.is(inShared.length, 1);
			t.is((await readdir(shared)).length, 1);
		} finally {
			await rm(shared, {recursive: true});
		}
	});
});
