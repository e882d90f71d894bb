/** The events that a run wrote down. */
import {readFile} from 'node:fs/promises';
import type {TimedEvent} from '../../lab/event/event.ts';

/** The events of a file of JSON lines. A last line without its newline was cut off in the middle, and is left out. */
export async function readEvents(file: string): Promise<TimedEvent[]> {
	return (await readFile(file, 'utf8')).split('\n').slice(0, -1).filter((line) => line.trim() !== '').map((line) => JSON.parse(line) as TimedEvent);
}
