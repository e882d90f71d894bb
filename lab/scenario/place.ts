/** Where in a user's file something was called: of a stack, only the frames that are the user's own are told. */
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import type {SourcePlace} from '../host/error.ts';
import {packageFolder} from '../host/folder.ts';

/** A frame of a stack. */
export interface Frame extends SourcePlace {
	/** The function's name, where it has one. */
	readonly call?: string;
}

/** The sources, and what is compiled from them: a scenario may load the one while the other runs it. */
const ourFolders = [path.join(packageFolder, 'lab'), path.join(packageFolder, '.build')];

/** `at async call (file:line:column)` or `at file:line:column`, as V8 writes a stack. */
const frameLine = /^\s*at (?:async )?(?:(.*?) \()?((?:file:\/\/)?\/.*?):(\d+):(\d+)\)?$/;

/**
 * The frames of a stack (`error.stack`) that are neither vmlab's, nor a package's, nor Node's own. Innermost first.
 * `own` are the folders that count as vmlab's.
 */
export function userFrames(stack: string | undefined, own: readonly string[] = ourFolders): Frame[] {
	return (stack ?? '').split('\n').flatMap((line): Frame[] => {
		const match = frameLine.exec(line);
		if (match?.[2] === undefined) {
			return [];
		}

		// A loader may add a query to tell versions of a module apart.
		const file = match[2].startsWith('file://') ? fileURLToPath(match[2].replace(/\?.*$/, '')) : match[2].replace(/\?.*$/, '');
		if (own.some((folder) => file.startsWith(folder + path.sep)) || file.includes('/node_modules/')) {
			return [];
		}

		const call = match[1]?.replace(/^Object\./, '');
		return [{file, line: Number(match[3]), column: Number(match[4]), ...(call === undefined || call.startsWith('<') ? {} : {call})}];
	});
}

/** The place in the user's file that this call came from. */
export function callPlace(): SourcePlace | undefined {
	const [frame] = userFrames(new Error('a stack').stack);
	return frame && {file: frame.file, ...(frame.line && {line: frame.line}), ...(frame.column && {column: frame.column})};
}
