/** Errors for people: what failed, where, what was last seen, what to do next, where the log is. */
import path from 'node:path';
import {Chalk} from 'chalk';
import type {ReportedError} from './history.ts';
import {printable, printableLine} from './printable.ts';

/** How an error is shown. */
export interface ErrorTextOptions {
	readonly color: boolean;
	/** Files below this folder are told relative to it. Default: the current one. */
	readonly folder?: string;
}

/** `file:line:column`, as terminals and editors make a link of it. */
export function formatPlace(place: NonNullable<ReportedError['where']>, folder: string): string {
	const relative = path.relative(folder, place.file);
	const file = relative.startsWith('..') || path.isAbsolute(relative) ? place.file : relative;
	return [file, ...(place.line === undefined ? [] : [place.line, ...(place.column === undefined ? [] : [place.column])])].join(':');
}

/** An error in several lines, without a newline at the end. */
export function renderError(error: ReportedError, options: ErrorTextOptions): string {
	const {color, folder = process.cwd()} = options;
	const chalk = new Chalk({level: color ? 1 : 0});
	const details = (error.details ?? []).flatMap((detail) => printable(detail).split('\n'));
	return [
		`${chalk.red('✖')} ${chalk.bold(printableLine(error.message, 1000))}`,
		...(error.where === undefined ? [] : [`  ${chalk.dim('at')} ${printableLine(formatPlace(error.where, folder))}`]),
		...details.map((line) => `  ${chalk.dim('│')} ${line}`),
		...(error.hint === undefined ? [] : [`  ${chalk.cyan('→')} ${printableLine(error.hint, 1000)}`]),
		...(error.log === undefined ? [] : [`  ${chalk.dim('log')} ${printableLine(error.log)}`]),
		`  ${chalk.dim(`[${printableLine(error.code)}]`)}`,
	].join('\n');
}
