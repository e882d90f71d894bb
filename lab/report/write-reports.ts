/** The files of a run: events.jsonl, junit.xml and report.html. */
import {mkdir, rename, writeFile} from 'node:fs/promises';
import path from 'node:path';
import type {TimedEvent} from '../event/event.ts';
import {htmlReport} from './html.ts';
import {jsonLine} from './jsonl.ts';
import {junitXml} from './junit.ts';

/** Writes all reports into a folder, which is created where it is missing. Each file is there whole or not at all. */
export async function writeReports(folder: string, events: readonly TimedEvent[]): Promise<void> {
	await mkdir(folder, {recursive: true});
	const files = {
		'events.jsonl': events.map((event) => jsonLine(event)).join(''),
		'junit.xml': junitXml(events),
		'report.html': htmlReport(events, {folder: path.resolve(folder)}),
	};
	for (const [name, text] of Object.entries(files)) {
		const file = path.join(folder, name);
		await writeFile(`${file}.partial`, text);
		await rename(`${file}.partial`, file);
	}
}
