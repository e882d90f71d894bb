/** Places in a user's file: where a key is written, and where an exception came from. */
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import type {SourcePlace} from '../host/error.ts';

/** Matches a key where it is written: quoted or not, as a property, a method or in short form. */
function patternOf(key: string): RegExp {
	const escaped = key.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
	return new RegExp(String.raw`(?<![\w$.])(?:'${escaped}'|"${escaped}"|${escaped})\s*(?=[:(,}]|$)`, 'm');
}

/**
 * Where a part of a declaration is written in a source text, by the keys that lead to it: each is searched for behind the
 * one before. A plain text search; it ends with the last key that is found.
 */
export function placeOfKeys(file: string, source: string, keys: readonly string[]): SourcePlace {
	let found: number | undefined;
	let behind = 0;
	for (const key of keys) {
		const match = patternOf(key).exec(source.slice(behind));
		if (match === null) {
			break;
		}

		found = behind + match.index;
		behind = found + match[0].length;
	}

	if (found === undefined) {
		return {file};
	}

	const before = source.slice(0, found).split('\n');
	return {file, line: before.length, column: before.at(-1)!.length + 1};
}

/** `file:line:column`, as far as it is known; the file relative to a folder where it is below it. */
export function showPlace(place: SourcePlace, folder?: string): string {
	const relative = folder === undefined ? place.file : path.relative(folder, place.file);
	const file = relative.startsWith('..') ? place.file : relative;
	return [file, place.line, place.line === undefined ? undefined : place.column].filter((part) => part !== undefined).join(':');
}

/**
 * The innermost place below a folder that an exception came from, by its stack; a compiler's error names the place in
 * its message. Undefined when the folder has no part in it.
 */
export function placeOfException(error: unknown, folder: string): SourcePlace | undefined {
	if (!(error instanceof Error)) {
		return undefined;
	}

	for (const line of `${error.message}\n${error.stack ?? ''}`.split('\n')) {
		const match = /((?:file:\/\/)?\/[^\s()?:]+)(?:\?[^\s():]*)?:(\d+):(\d+)/.exec(line);
		if (match?.[1] === undefined) {
			continue;
		}

		const file = match[1].startsWith('file:') ? fileURLToPath(match[1]) : match[1];
		if (file.startsWith(folder + path.sep)) {
			return {file, line: Number(match[2]), column: Number(match[3])};
		}
	}

	return undefined;
}
