/**
 * Text from guests and programs as text that is safe to show: it can neither steer a terminal, nor hide what it says,
 * nor break an XML file.
 */
import {stripVTControlCharacters} from 'node:util';

/**
 * Escape sequences that have no end within the text, and those that Node's own stripping leaves: device control, operating
 * system commands and the like (ECMA-48, 8.3). They take the rest of their line with them at most.
 */
const strings = /(?:\u001B[PX^_\]]|[\u0090\u0098\u009D-\u009F])[^\u0007\u001B\u009C\n]*(?:\u0007|\u001B\\|\u009C)?/g;

/** Controls but tab and newline; what turns the direction of writing (UAX #9) or has no width; what XML 1.0 forbids. */
const unsafe = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u200B\u200E\u200F\u2028-\u202E\u2060-\u2069\uFEFF\uFFF9-\uFFFB\uFFFE\uFFFF]/g;

/** Without escape sequences; other control characters as a visible mark; newlines kept, tabs as spaces. */
export function printable(text: string): string {
	return stripVTControlCharacters(text.replace(strings, ''))
		.replaceAll('\r\n', '\n')
		.replaceAll('\t', '    ')
		.replace(unsafe, '\uFFFD')
		// Halves of characters, from output that was cut in the middle.
		.replace(/\p{Surrogate}/gu, '\uFFFD');
}

/** The same in one line, at most `longest` characters. */
export function printableLine(text: string, longest = 400): string {
	const line = printable(text).replaceAll(/\s*\n\s*/g, ' ').trim();
	const characters = [...line];
	return characters.length > longest ? `${characters.slice(0, longest - 1).join('')}…` : line;
}
