import test from 'ava';
import type {LabEvent} from '../../lab/event/event.ts';
import {failure} from '../../lab/host/failure.ts';
import {withLab} from '../../lab/runtime/with-lab.ts';

const stuck = failure.waitExpired('node-1 quits', 5, 'it runs');

/** A lab that counts its ends, and what is told meanwhile. */
function scene(error?: Error) {
	const ends: string[] = [];
	const events: LabEvent[] = [];
	const lab = {
		name: 'one',
		async down() {
			ends.push('down');
			if (error !== undefined) {
				throw error;
			}
		},
	};
	return {lab, ends, events, sink: (event: LabEvent) => {
		events.push(event);
	}};
}

test('a lab is taken down after its use', async (t) => {
	const {lab, ends, events, sink} = scene();
	t.is(await withLab(lab, sink, async ({name}) => name), 'one');
	t.deepEqual(ends, ['down']);
	t.deepEqual(events, []);
});

test('a failure to take it down is one after a use that went well', async (t) => {
	const {lab, sink} = scene(stuck);
	await t.throwsAsync(withLab(lab, sink, async () => {}), {is: stuck});
});

test('a failure to take it down does not hide that of its use, and is told too', async (t) => {
	const {lab, ends, events, sink} = scene(stuck);
	await t.throwsAsync(withLab(lab, sink, async () => {
		throw new Error('the step failed');
	}), {message: 'the step failed'});
	t.deepEqual(ends, ['down']);
	t.deepEqual(events, [{type: 'note', level: 'warning', text: 'The lab one could not be taken down: node-1 quits: not within 5 s'}]);
});
