import {mkdir, open, readdir, readlink, stat, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {LabError} from '../../lab/host/error.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {chooseMemoryFolder, createMemory, memoryFolderOf, ownerLink} from '../../lab/runtime/memory.ts';

const mebibyte = 1024 ** 2;
const machines = [{name: 'node-1', memory: 4 * mebibyte}, {name: 'node-2', memory: 2 * mebibyte}];

test('memory goes to shared memory where it has room, in private sparse files of the right size', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const lab = path.join(folder, 'labs/one');
		const shared = path.join(folder, 'shm');
		await Promise.all([mkdir(lab, {recursive: true}), mkdir(shared)]);
		const place = await chooseMemoryFolder(lab, machines, shared);
		t.is(place, memoryFolderOf(lab, shared));
		const files = await createMemory(place, lab, machines);
		t.is(await readlink(path.join(place, ownerLink)), lab);
		t.is((await stat(place)).mode & 0o777, 0o700);
		for (const {name, memory} of machines) {
			const {size, blocks, mode} = await stat(files.get(name)!);
			t.deepEqual([size, blocks, mode & 0o777], [memory, 0, 0o600]);
		}

		await t.notThrowsAsync(createMemory(place, lab, machines), 'what a dead lab of this folder left is no hindrance');
	});
});

test('where shared memory is too small the memory goes to the lab\'s folder', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const lab = path.join(folder, 'one');
		await Promise.all([mkdir(path.join(lab, 'node-1'), {recursive: true}), mkdir(path.join(lab, 'node-2'), {recursive: true})]);
		t.is(await chooseMemoryFolder(lab, machines, path.join(folder, 'missing')), lab);
		const files = await createMemory(lab, lab, machines);
		t.is(files.get('node-1'), path.join(lab, 'node-1/memory'));
		t.deepEqual(await readdir(lab), ['node-1', 'node-2']);
	});
});

test('memory that is promised to other labs does not count as room', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const lab = path.join(folder, 'labs/one');
		const other = path.join(folder, 'shm/vmlab-0-other');
		await Promise.all([mkdir(lab, {recursive: true}), mkdir(other, {recursive: true})]);
		const file = await open(path.join(other, 'node-1'), 'w');
		await file.truncate(2 ** 43);
		await file.close();
		t.is(await chooseMemoryFolder(lab, machines, path.join(folder, 'shm')), lab);
	});
});

test('memory that fits nowhere is refused with the room that there is', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const lab = path.join(folder, 'one');
		await mkdir(lab);
		await writeFile(path.join(lab, 'x'), '');
		const error = await t.throwsAsync(chooseMemoryFolder(lab, [{name: 'node-1', memory: 2 ** 60}], folder), {instanceOf: LabError});
		t.is(error.kind, 'host');
		t.is(error.details.length, 2);
		t.regex(error.details[0]!, /has \d+ MiB/);
	});
});
