import {mkdir, readdir, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type {LabEvent} from '../../lab/event/event.ts';
import type {LabError} from '../../lab/host/error.ts';
import {failure} from '../../lab/host/failure.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {withEvidence} from '../../lab/runtime/kept-evidence.ts';

/** A lab in a folder, which writes one file as its evidence, and a place where an older run left something. */
async function scene(folder: string) {
	const lab = {
		folder: path.join(folder, 'lab'),
		async collectEvidence(target: string): Promise<void> {
			await writeFile(path.join(target, 'lab.json'), '{}');
		},
	};
	const kept = path.join(folder, 'evidence');
	await mkdir(kept);
	await writeFile(path.join(kept, 'old'), '');
	const events: LabEvent[] = [];
	return {lab, kept, events, place: {folder: kept, scenario: 'ipv4', events: (event: LabEvent) => {
		events.push(event);
	}}};
}

function machineFailure(lab: {folder: string}): LabError {
	return failure.withLog(failure.machineBroke('node-1', 'it takes no images'), path.join(lab.folder, 'node-1/console.log'));
}

test('a lab that fails while it is used leaves its evidence, and its failure names the log there', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const {lab, kept, events, place} = await scene(folder);
		const error = await t.throwsAsync<LabError>(withEvidence(lab, place, new AbortController().signal, async () => {
			throw machineFailure(lab);
		}), {code: 'machine-broke'});
		t.is(error?.log, path.join(kept, 'node-1/console.log'));
		t.deepEqual(await readdir(kept), ['lab.json'], 'and nothing of a run before');
		t.deepEqual(events, [{type: 'evidence', scenario: 'ipv4', path: kept, files: 1}]);
	});
});

test('a lab that is used to the end leaves none', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const {lab, kept, events, place} = await scene(folder);
		t.is(await withEvidence(lab, place, new AbortController().signal, async () => 5), 5);
		t.deepEqual([await readdir(kept), events], [['old'], []]);
	});
});

test('a lab that nobody wants any more is not asked, and the failure is that it was interrupted', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const {lab, kept, place} = await scene(folder);
		const controller = new AbortController();
		await t.throwsAsync(withEvidence(lab, place, controller.signal, async () => {
			controller.abort(failure.interrupted('SIGINT'));
			throw machineFailure(lab);
		}), {code: 'interrupted'});
		t.deepEqual(await readdir(kept), ['old']);
	});
});

test('a folder that cannot be written does not hide why the lab failed', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const {lab, place} = await scene(folder);
		const file = path.join(folder, 'file');
		await writeFile(file, 'x');
		await t.throwsAsync(withEvidence(lab, {...place, folder: path.join(file, 'below')}, new AbortController().signal, async () => {
			throw machineFailure(lab);
		}), {code: 'machine-broke'});
		t.is(await readFile(file, 'utf8'), 'x');
	});
});
