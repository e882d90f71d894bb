/** What one verb of the command line is. Each is a file of its own, imported only when it is used. */
import type {Argv} from 'yargs';

/** What every verb is given beside its arguments. */
export interface Invocation {
	/** Aborted by the first Ctrl-C, SIGTERM or SIGHUP, with an `interrupted` failure as its reason. */
	readonly signal: AbortSignal;
	/** How data goes to stdout. */
	readonly output: OutputFormat;
	/** Was `-o` given, or is `output` only the default? */
	readonly outputChosen: boolean;
}

/** How data is printed on stdout. */
export type OutputFormat = 'table' | 'json' | 'yaml';

/** A verb: its options, and what it does. */
export interface Verb<Arguments = unknown> {
	/** Declares positionals and options. */
	options(command: Argv): Argv<Arguments>;
	/**
	 * Does it. Data goes to stdout, everything else to stderr.
	 *
	 * @returns the exit code, where it is not 0
	 */
	run(args: Arguments, invocation: Invocation): Promise<number | void>;
}

/** Defines a verb; the types of its arguments follow from its options. */
export function defineVerb<Arguments>(verb: Verb<Arguments>): Verb<Arguments> {
	return verb;
}

/** A verb in the table of verbs: all that `vmlab --help` needs. */
export interface VerbEntry {
	/** As yargs writes it: `up <scenario>`. */
	readonly command: string;
	/** What comes after it and is not for us: `-- command`. */
	readonly rest?: string;
	readonly summary: string;
	/** Options that may stand without a value, and which they have then. With one they are written `--graph=svg`: a word behind them is another argument. */
	readonly bareOptions?: Readonly<Record<string, string>>;
	/** Imports the verb's file. */
	// Each verb has arguments of its own, and the table has them all.
	readonly load: () => Promise<{readonly verb: Verb<any>}>;
}
