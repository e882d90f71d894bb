/**
 * Makes a stage as a process of its own: `maker.ts FOLDER KEY HOW`. Says on stdout, one JSON text a line, what happens. With
 * `slow` it goes on for a minute unless it is ended; with `hold` it makes nothing, but holds the stage until its stdin has a line,
 * with `scratch` it has a folder of scratch for so long.
 */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {writeFile} from 'node:fs/promises';
import path from 'node:path';
import {openStore} from '../../lab/store/open-store.ts';
import {withScratch} from '../../lab/store/scratch.ts';

const [folder = '', key = '', how] = process.argv.slice(2);
const store = await openStore(folder);
const say = (value: unknown): void => {
	process.stdout.write(`${JSON.stringify(value)}\n`);
};

if (how === 'hold') {
	await store.hold([key], new AbortController().signal);
	say({holding: process.pid});
	await once(process.stdin, 'data');
	process.exit(0);
}

if (how === 'scratch') {
	await withScratch(folder, 'probe-1', async (place) => {
		await writeFile(path.join(place, 'half'), 'made');
		say({scratch: place});
		await once(process.stdin, 'data');
	});
	process.exit(0);
}

const stage = await store.make({
	name: 'test stage',
	key,
	async make(work) {
		await writeFile(path.join(work.out, 'half'), 'made');
		say({making: process.pid});
		if (how === 'slow') {
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
