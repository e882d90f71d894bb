import {mkdir, readdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {checkLabName, fitLabName, keepRecord, newRecord, readRecord, recordFile} from '../../lab/runtime/lab-record.ts';

const supervisor = {pid: 1, startTime: '1', marker: 'x'};

test('changes are written in their order, and the file is always whole', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const keeper = keepRecord(folder, newRecord({name: 'one', supervisor, labKey: 'k'}));
		const writes = Array.from({length: 30}, async (_, index) => keeper.update(() => ({speed: index})));
		for (let look = 0; look < 20; look++) {
			await readRecord(folder);
		}

		await Promise.all(writes);
		t.is((await readRecord(folder))?.speed, 29);
		t.deepEqual(await readdir(folder), ['lab.json']);
	});
});

test('a state that cannot follow is refused', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const keeper = keepRecord(folder, newRecord({name: 'one', supervisor, labKey: 'k'}));
		await t.throwsAsync(keeper.update(() => ({state: 'ready'})), {message: /starting cannot become ready/});
		await keeper.update(() => ({state: 'booting'}));
		await keeper.update(() => ({state: 'ready'}));
		await keeper.update(() => ({state: 'stopping'}));
		await t.throwsAsync(keeper.update(() => ({state: 'ready'})), {message: /stopping cannot become ready/});
		t.is(keeper.record.state, 'stopping');
	});
});

test('a record that is missing, broken or of another form is none', async (t) => {
	await withTemporaryFolder(async (folder) => {
		t.is(await readRecord(folder), undefined);
		await writeFile(recordFile(folder), '{');
		t.is(await readRecord(folder), undefined);
		await writeFile(recordFile(folder), '{"format": 2}');
		t.is(await readRecord(folder), undefined);
		await mkdir(path.join(folder, 'x'));
		t.is(await readRecord(path.join(folder, 'lab.json')), undefined);
	});
});

test('names of labs are short and plain', (t) => {
	for (const name of ['a', '1', 'ipv4', 'my-lab-2', 'a'.repeat(30)]) {
		t.notThrows(() => {
			checkLabName(name);
		});
	}

	for (const name of ['', '-a', 'A', 'a b', 'a/b', '..', 'ä', 'a'.repeat(31)]) {
		t.throws(() => {
			checkLabName(name);
		}, {message: /cannot be named/}, name);
	}
});

test('names of labs of many are ones that a lab may have, and differ', (t) => {
	t.is(fitLabName('ipv4', '-1'), 'ipv4-1');
	t.is(fitLabName('a'.repeat(28), '-1'), `${'a'.repeat(28)}-1`);
	const commons = ['bug-service-source-random-fully-mutated', 'bug-service-source-random-other-mutated', 'a'.repeat(31), `${'a'.repeat(22)}-${'b'.repeat(20)}`];
	const names = commons.flatMap((common) => ['', '-1', '-2', '-1000'].map((suffix) => fitLabName(common, suffix)));
	for (const name of names) {
		t.notThrows(() => {
			checkLabName(name);
		}, name);
		t.notRegex(name, /--/);
	}

	t.is(new Set(names).size, names.length);
	t.is(fitLabName(commons[0]!, '-1'), fitLabName(commons[0]!, '-1'));
});
