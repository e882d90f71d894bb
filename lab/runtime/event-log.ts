/** All events of a lab: kept for those who come later, told to those who watch, and written to `events.jsonl`. */
import {createWriteStream} from 'node:fs';
import {finished} from 'node:stream/promises';
import type {EventSink, TimedEvent} from '../event/event.ts';

/** The events of a lab, past and to come. */
export interface EventLog {
	readonly sink: EventSink;
	/** Tells everything from the beginning on, and what comes. Returns the function that ends it. */
	watch(watcher: (event: TimedEvent) => void): () => void;
	/** Returns when the file is written. A file that could not be written is no reason to fail. */
	close(): Promise<void>;
}

/** Opens the log of a lab with its file. */
export function openEventLog(file: string): EventLog {
	const past: TimedEvent[] = [];
	const watchers = new Set<(event: TimedEvent) => void>();
	const stream = createWriteStream(file, {flags: 'a', mode: 0o600});
	stream.on('error', () => {});
	return {
		sink(event) {
			const timed: TimedEvent = {...event, at: Date.now()};
			past.push(timed);
			if (stream.writable) {
				stream.write(`${JSON.stringify(timed)}\n`);
			}

			for (const watcher of watchers) {
				watcher(timed);
			}
		},
		watch(watcher) {
			for (const event of past) {
				watcher(event);
			}

			watchers.add(watcher);
			return () => {
				watchers.delete(watcher);
			};
		},
		async close() {
			stream.end();
			await finished(stream).catch(() => {});
		},
	};
}
