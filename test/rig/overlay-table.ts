/** The README's table of overlays, made from their manifests; `npm run readme` writes it. */
import {readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {packageFolder} from '../../lab/host/folder.ts';
import {listOverlays, loadOverlay} from '../../lab/spec/load.ts';

const [begin, end] = ['<!-- overlays: made by `npm run readme` -->\n', '<!-- end of overlays -->'];

/** The README's file. */
export const readmeFile: string = path.join(packageFolder, 'README.md');

/** The table as it should be. */
export async function overlayTable(): Promise<string> {
	const roots = {folders: [packageFolder]};
	const rows = await Promise.all((await listOverlays(roots)).map(async (name) => {
		const {manifest} = await loadOverlay(name, roots);
		const options = Object.keys(manifest.options ?? {}).map((option) => `\`${option}\``).join(', ');
		return `| [${name}](overlays/${name}/README.md) | ${manifest.summary} | ${(manifest.provides ?? []).map((capability) => `\`${capability}\``).join(', ')} | ${options} |\n`;
	}));
	return `| overlay | what it gives | provides | options |\n| --- | --- | --- | --- |\n${rows.join('')}`;
}

/** The table as the README has it. */
export async function writtenTable(): Promise<string> {
	const text = await readFile(readmeFile, 'utf8');
	return text.slice(text.indexOf(begin) + begin.length, text.indexOf(end));
}

/** Puts the table into the README. */
export async function writeTable(): Promise<void> {
	const text = await readFile(readmeFile, 'utf8');
	await writeFile(readmeFile, text.slice(0, text.indexOf(begin) + begin.length) + (await overlayTable()) + text.slice(text.indexOf(end)));
}

if (process.argv[1] === import.meta.filename) {
	await writeTable();
}
