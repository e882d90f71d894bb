import test from 'ava';
import {startOnce} from '../../lab/cli/start-once.ts';
import {failure} from '../../lab/host/failure.ts';
import {claimLab} from '../../lab/runtime/claim.ts';
import {type LabState, writeRecord} from '../../lab/runtime/lab-record.ts';
import {withStateFolder} from '../runtime/stand-ins.ts';

/** A lab of another command, in that state: of this process, which lives. */
async function layOutLab(name: string, state: LabState): Promise<void> {
	const {folder, record} = await claimLab({name, labKey: 'k'});
	await writeRecord(folder, {...record, state});
}

test.serial('where no lab of that name is, it is started, and there is nothing to say', async (t) => {
	await withStateFolder(async () => {
		let starts = 0;
		t.is(await startOnce({name: 'one', labKey: 'k'}, async () => {
			starts++;
		}), undefined);
		t.is(starts, 1);
	});
});

test.serial('one that is up or being started is not started again', async (t) => {
	await withStateFolder(async () => {
		await layOutLab('up', 'ready');
		await layOutLab('coming', 'booting');
		t.regex(await startOnce({name: 'up', labKey: 'k'}, async () => t.fail()) ?? '', /up is up already/);
		t.regex(await startOnce({name: 'coming', labKey: 'k'}, async () => t.fail()) ?? '', /coming is being started by another command/);
	});
});

test.serial('one that is made of something else is not taken for the one that is wanted', async (t) => {
	await withStateFolder(async () => {
		await layOutLab('up', 'ready');
		await t.throwsAsync(startOnce({name: 'up', labKey: 'other'}, async () => t.fail()), {code: 'lab-differs', message: 'A lab `up` is there already, and is another one'});
	});
});

test.serial('one that another command begins to start while we build is that command\'s', async (t) => {
	await withStateFolder(async () => {
		const said = await startOnce({name: 'one', labKey: 'k'}, async () => {
			await layOutLab('one', 'starting');
			// As two commands that have built everything: the second is refused the name.
			await claimLab({name: 'one', labKey: 'k'});
		});
		t.is(said, 'The lab one is being started by another command.');
	});
});

test.serial('one that failed, or ends, is in the way, whenever that is seen', async (t) => {
	await withStateFolder(async () => {
		await layOutLab('failed', 'failed');
		await t.throwsAsync(startOnce({name: 'failed', labKey: 'k'}, async () => t.fail()), {code: 'lab-runs'});
		await t.throwsAsync(startOnce({name: 'late', labKey: 'k'}, async () => {
			await layOutLab('late', 'stopping');
			await claimLab({name: 'late', labKey: 'k'});
		}), {code: 'lab-runs', message: /stopping/});
	});
});

test.serial('what fails for another reason is told as that, though a lab is there by then', async (t) => {
	await withStateFolder(async () => {
		await t.throwsAsync(startOnce({name: 'one', labKey: 'k'}, async () => {
			await layOutLab('one', 'ready');
			throw failure.interrupted('SIGINT');
		}), {code: 'interrupted'});
	});
});
