/** Shell quoting, in the manner of zx: what is interpolated can never become syntax. */
import {failure} from '../host/failure.ts';

/** What may be interpolated into a command. */
export type Word = string | number;

/** Characters that no POSIX shell gives a meaning to, in any place of a word (POSIX XCU 2.2). */
const plain = /^[\w/.,:@%+-]+$/;

/**
 * A value as exactly one word of a POSIX shell.
 *
 * @throws `bad-value` for what no word can hold: a NUL, and undefined and its like from untyped code
 */
export function quoteWord(value: Word): string {
	if (typeof value !== 'string' && typeof value !== 'number') {
		throw failure.badValue('word of a command', String(value), 'a string or a number');
	}

	const text = String(value);
	if (text.includes('\0')) {
		throw failure.badValue('word of a command', text.replaceAll('\0', '\\0'), 'text without a NUL character');
	}

	return plain.test(text) ? text : `'${text.replaceAll('\'', '\'\\\'\'')}'`;
}

/**
 * The command of a template: its own text as it stands, each value as one word, an array as several.
 *
 * @throws `bad-value` like `quoteWord`, and for an escape sequence that is none
 */
export function quoteCommand(pieces: TemplateStringsArray, values: ReadonlyArray<Word | readonly Word[]>): string {
	return pieces.map((piece: string | undefined, index) => {
		if (piece === undefined) {
			throw failure.badValue('command', pieces.raw[index] ?? '', 'a backslash as two');
		}

		if (index >= values.length) {
			return piece;
		}

		const value = values[index] as Word | readonly Word[];
		return piece + (Array.isArray(value) ? value.map((word: Word) => quoteWord(word)).join(' ') : quoteWord(value as Word));
	}).join('');
}

/**
 * The command that writes its standard input to a file of a machine, in a folder that is made where it is missing. Renamed into place: who reads the
 * file sees the old text or the new. It is to be run by a shell that stops at the first command that fails.
 *
 * @param mode of the file, such as 0o644
 * @throws `bad-value` like `quoteWord`
 */
export function writeCommand(path: string, mode: number): string {
	const target = quoteWord(path);
	const partial = quoteWord(`${path}.partial`);
	return `mkdir -p -- "$(dirname -- ${target})"; umask 077; cat >${partial}; chmod ${mode.toString(8)} -- ${partial}; mv -- ${partial} ${target}`;
}
