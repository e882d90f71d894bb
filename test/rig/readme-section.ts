/** Parts of the README that `npm run readme` writes: each between two comments. */
import {readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {packageFolder} from '../../lab/host/folder.ts';

/** The README's file. */
export const readmeFile: string = path.join(packageFolder, 'README.md');

/** Where a section's text begins and ends. Throws when the README has no such section. */
function bounds(text: string, name: string): [number, number] {
	const begin = `<!-- ${name}: made by \`npm run readme\` -->\n`;
	const [start, end] = [text.indexOf(begin), text.indexOf(`<!-- end of ${name} -->`)];
	if (start === -1 || end < start) {
		throw new Error(`the README has no section ${name}`);
	}

	return [start + begin.length, end];
}

/** A section as the README has it. */
export async function readSection(name: string): Promise<string> {
	const text = await readFile(readmeFile, 'utf8');
	return text.slice(...bounds(text, name));
}

/** Puts a section into the README. */
export async function writeSection(name: string, section: string): Promise<void> {
	const text = await readFile(readmeFile, 'utf8');
	const [start, end] = bounds(text, name);
	await writeFile(readmeFile, text.slice(0, start) + section + text.slice(end));
}

/** A table in Markdown. */
export function markdownTable(columns: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
	return [columns, columns.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}
