/** Data on stdout: as a table for people, as JSON or YAML for programs. */
import {failure} from '../host/failure.ts';
import type {OutputFormat} from './verb.ts';

/** A table: what each row has in each column. Nothing is cut, so that it can be piped. */
export interface Table {
	readonly columns: readonly string[];
	readonly rows: ReadonlyArray<readonly string[]>;
	/** Said to the person where there are no rows. */
	readonly none?: string;
}

/** The table as lines, columns aligned. A table without rows is no lines at all. */
export function formatTable(table: Table): string {
	if (table.rows.length === 0) {
		return '';
	}

	const lines = [table.columns, ...table.rows];
	const widths = table.columns.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
	return lines
		.map((line) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd())
		.join('\n') + '\n';
}

/** Writes data to stdout: the value itself as JSON or YAML, or what `table` makes of it. Throws `output-not-written` where it cannot; that nobody reads it any more is no failure. */
export async function print<Value>(format: OutputFormat, value: Value, table: (value: Value) => Table | string): Promise<void> {
	const text = await render(format, value, table);
	await new Promise<void>((resolve, reject) => {
		process.stdout.write(text, (error?: NodeJS.ErrnoException | null) => {
			if (error && error.code !== 'EPIPE') {
				reject(failure.outputNotWritten(error));
			} else {
				resolve();
			}
		});
	});
}

async function render<Value>(format: OutputFormat, value: Value, table: (value: Value) => Table | string): Promise<string> {
	switch (format) {
		case 'json': {
			return `${JSON.stringify(value, undefined, 2)}\n`;
		}

		case 'yaml': {
			const {stringify} = await import('yaml');
			// Through JSON first, so that both formats have the same data: undefined left out, errors in their plain form.
			return stringify(JSON.parse(JSON.stringify(value)));
		}

		case 'table': {
			const shown = table(value);
			if (typeof shown !== 'string' && shown.rows.length === 0 && shown.none !== undefined) {
				say(shown.none);
			}

			return typeof shown === 'string' ? shown : formatTable(shown);
		}
	}
}

/** A line for the person, on stderr. */
export function say(text: string): void {
	process.stderr.write(`${text}\n`);
}
