/**
 * Makes a stage as a process of its own: `maker.ts FOLDER KEY SLOW`. Says on stdout, one JSON text a line, what happens; with
 * SLOW it goes on for a minute unless it is ended.
 */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {writeFile} from 'node:fs/promises';
import path from 'node:path';
import {openStore} from '../../lab/store/open-store.ts';

const [folder = '', key = '', slow] = process.argv.slice(2);
const store = await openStore(folder);
const say = (value: unknown): void => {
	process.stdout.write(`${JSON.stringify(value)}\n`);
};

const stage = await store.make({
	name: 'test stage',
	key,
	async make(work) {
		await writeFile(path.join(work.out, 'half'), 'made');
		say({making: process.pid});
		if (slow === 'slow') {
			await once(spawn('sleep', ['60'], {stdio: 'ignore'}), 'exit');
		} else {
			await once(process.stdin, 'data');
		}

		await writeFile(path.join(work.out, 'whole'), 'made');
	},
}, {
	events(event) {
		if (event.type === 'stage') {
			say({reason: event.reason, ...(event.reason === 'waiting' && {holder: event.holder})});
		}
	},
	signal: new AbortController().signal,
});
say({folder: stage.folder});
process.exit(0);
