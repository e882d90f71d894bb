/** HTML and SVG as text: whatever is put into a template is escaped, unless it is markup itself. */
import {printable} from './printable.ts';

/** Text that is markup already. Made by `markup` only. */
export class Markup {
	readonly text: string;

	constructor(text: string) {
		this.text = text;
	}
}

/** What may stand between the tags of a page; undefined is nothing. */
export type Part = string | number | Markup | undefined | readonly Part[];

const entities: Readonly<Record<string, string>> = {'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\'': '&#39;'};

function render(part: Part): string {
	if (part === undefined) {
		return '';
	}

	if (part instanceof Markup) {
		return part.text;
	}

	if (Array.isArray(part)) {
		return part.map((each: Part) => render(each)).join('');
	}

	return printable(String(part)).replace(/[&<>"']/g, (character) => entities[character] ?? '');
}

/** A template whose values are escaped; markup and lists of it stay as they are, undefined is nothing. */
export function markup(pieces: TemplateStringsArray, ...parts: readonly Part[]): Markup {
	return new Markup(pieces.map((piece, index) => piece + render(parts[index])).join(''));
}
