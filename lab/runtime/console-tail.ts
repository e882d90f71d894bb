/** The end of a machine's serial console. What is on it is the guest's: it is shown without terminal escapes. */
import path from 'node:path';
import {readEnd} from '../host/file-end.ts';
import {plainText} from '../host/plain-text.ts';
import {cutPartOf} from './console-limit.ts';

/** The console's log, relative to the lab's folder. */
export function consoleLogOf(machine: string): string {
	return path.join(machine, 'console.log');
}

const shownLines = 20;
const readBytes = 32 * 1024;

/** The last lines of a log, of what came after its first `from` bytes; none where there is no such file. */
export async function tailOf(file: string, most = shownLines, from = 0): Promise<string[]> {
	const end = await readEnd(file, readBytes, from);
	// What was cut from it may be a moment old.
	const before = from === 0 && end.length < readBytes ? await readEnd(cutPartOf(file), readBytes - end.length) : '';
	return plainText(before + end).split('\n').map((line) => line.trimEnd()).filter((line) => line !== '').slice(-most);
}

/** What a kernel, or the first process of an image, writes when it gives up, and the overlay `base` when nobody can reach the machine. */
const crashes = [/Kernel panic - not syncing: .*/, /vmlab: init failed: .*/, /vmlab: the network was not set up: .*/];

/** The line by which a console tells that its machine gave up, where it does. */
export function findCrash(lines: readonly string[]): string | undefined {
	for (const line of lines) {
		for (const crash of crashes) {
			const match = crash.exec(line);
			if (match !== null) {
				return match[0];
			}
		}
	}

	return undefined;
}
