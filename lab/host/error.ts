/**
 * The one error class of vmlab and the exit codes that its kinds end a command with.
 * Errors are made by the named factories in `failure.ts`, never with `new` elsewhere.
 */

/** Exit codes of the command line, by what went wrong (see the README). */
export const exitCodes = {
	done: 0,
	scenario: 1,
	usage: 2,
	declaration: 3,
	host: 4,
	component: 5,
	machine: 6,
	cluster: 7,
	bug: 70,
	timeout: 124,
	interrupted: 130,
} as const;

/** What kind of thing failed; decides the exit code. */
export type FailureKind = Exclude<keyof typeof exitCodes, 'done'>;

/** A place in a user's file. Lines and columns count from 1. */
export interface SourcePlace {
	readonly file: string;
	readonly line?: number;
	readonly column?: number;
}

/** What a factory in the catalogue says of a failure. */
export interface FailureDescription {
	/** A stable id, in kebab-case, for searching: `unknown-overlay`. */
	readonly code: string;
	readonly kind: FailureKind;
	/** What failed, as one sentence without a full stop. */
	readonly message: string;
	/** What to do next, as one sentence. */
	readonly hint?: string;
	readonly where?: SourcePlace;
	/** What was last seen: output lines, tried things, the last observation. */
	readonly details?: readonly string[];
	/** A file with the whole story. */
	readonly log?: string;
	readonly cause?: unknown;
}

/** An error for people: what failed, where, what was last seen, what to do next. */
export class LabError extends Error {
	override readonly name = 'LabError';
	readonly code: string;
	readonly kind: FailureKind;
	readonly hint: string | undefined;
	readonly where: SourcePlace | undefined;
	readonly details: readonly string[];
	readonly log: string | undefined;

	constructor(description: FailureDescription) {
		super(description.message, description.cause === undefined ? undefined : {cause: description.cause});
		this.code = description.code;
		this.kind = description.kind;
		this.hint = description.hint;
		this.where = description.where;
		this.details = description.details ?? [];
		this.log = description.log;
	}

	/** The code that a command which fails with this error exits with. */
	get exitCode(): number {
		return exitCodes[this.kind];
	}

	/** The plain form, for events, `-o json` and the supervisor's socket. */
	toJSON(): FailureDescription {
		return {
			code: this.code,
			kind: this.kind,
			message: this.message,
			...(this.hint === undefined ? {} : {hint: this.hint}),
			...(this.where === undefined ? {} : {where: this.where}),
			...(this.details.length === 0 ? {} : {details: this.details}),
			...(this.log === undefined ? {} : {log: this.log}),
		};
	}
}

/** Any thrown thing as a LabError; what is not one already is our own bug (exit code 70), with its stack as details. */
export function asLabError(thrown: unknown): LabError {
	if (thrown instanceof LabError) {
		return thrown;
	}

	const error = thrown instanceof Error ? thrown : new Error(String(thrown));
	return new LabError({
		code: 'internal',
		kind: 'bug',
		message: `vmlab itself failed: ${error.message}`,
		hint: 'This is a bug in vmlab: please report it with the lines above.',
		details: (error.stack ?? '').split('\n').slice(1).map((line) => line.trim()),
		cause: error,
	});
}
