/** What a command reports while it works: to the terminal, and into a folder. */
import {createWriteStream, type WriteStream} from 'node:fs';
import {mkdir} from 'node:fs/promises';
import path from 'node:path';
import {finished} from 'node:stream/promises';
import type {EventSink, TimedEvent} from '../event/event.ts';
import {jsonLine} from '../report/jsonl.ts';
import {terminalReport} from '../report/terminal.ts';

/** Shows events on stderr while `use` works. */
export async function withTerminal<Value>(use: (events: EventSink) => Promise<Value>): Promise<Value> {
	const report = terminalReport();
	try {
		return await use(report.sink);
	} finally {
		report.close();
	}
}

/**
 * The same, and keeps the events: as events.jsonl while it goes on, so that a run which is killed has told what it did, and
 * as the other reports at the end, however it ends. Without a folder nothing is written.
 */
export async function withReport<Value>(folder: string | undefined, use: (events: EventSink) => Promise<Value>): Promise<Value> {
	if (folder === undefined) {
		return withTerminal(use);
	}

	await mkdir(folder, {recursive: true});
	const events: TimedEvent[] = [];
	const lines = createWriteStream(path.join(folder, 'events.jsonl'));
	const failed = watch(lines);
	try {
		return await withTerminal(async (terminal) => use((event) => {
			const timed = {...event, at: Date.now()};
			events.push(timed);
			lines.write(jsonLine(timed));
			terminal(event);
		}));
	} finally {
		lines.end();
		await Promise.race([finished(lines), failed]);
		const {writeReports} = await import('../report/write-reports.ts');
		await writeReports(folder, events);
	}
}

/** Rejects with what made the stream fail, when it is asked for: at the end, not in the middle of somebody's work. */
function watch(stream: WriteStream): Promise<never> {
	const failed = new Promise<never>((_resolve, reject) => {
		stream.once('error', reject);
	});
	failed.catch(() => {});
	return failed;
}
