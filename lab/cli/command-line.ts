/** From words to a verb: yargs parses, the verb is imported and run, and what it throws is shown. */
import {statSync} from 'node:fs';
import yargs, {type Argv} from 'yargs';
import {exitCodes, LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {suggest} from '../host/suggestion.ts';
import {showError} from './show-error.ts';
import type {OutputFormat, Verb, VerbEntry} from './verb.ts';
import {findVerb, formOfVerb, nameOfVerb, verbNames, verbs} from './verbs.ts';

/** The internals of yargs that its types leave out: the names of all options declared so far. */
type DeclaredOptions = {getOptions(): {key: Record<string, unknown>; alias: Record<string, string[]>}};

/** The options of every verb. */
function addCommonOptions(parser: Argv) {
	return parser
		.option('output', {alias: 'o', choices: ['table', 'json', 'yaml'] as const, describe: 'How data is printed', defaultDescription: 'table', global: true})
		.option('cache-dir', {type: 'string', requiresArg: true, describe: 'Where what was built is kept', defaultDescription: '$XDG_CACHE_HOME/vmlab', global: true})
		.option('state-dir', {type: 'string', requiresArg: true, describe: 'Where labs live', defaultDescription: '$XDG_STATE_HOME/vmlab', global: true})
		.option('project', {type: 'string', requiresArg: true, describe: 'The folder of your own overlays/, images/ and scripts/', defaultDescription: 'the current one', global: true})
		.group(['output', 'cache-dir', 'state-dir', 'project', 'help'], 'Everywhere:');
}

/**
 * `VMLAB_*` variables mirror flags, but not each of them is a flag of each verb, and some name folders of components: the
 * strict parser must not take those for typing errors.
 */
function allowOtherVariables(parser: Argv): Argv {
	const {key, alias} = (parser as unknown as DeclaredOptions).getOptions();
	const declared = new Set([...Object.keys(key), ...Object.entries(alias).flatMap(([name, others]) => [name, ...others])]);
	for (const variable of Object.keys(process.env)) {
		const name = /^VMLAB_([A-Z\d_]+)$/.exec(variable)?.[1]?.toLowerCase().replaceAll('_', '-');
		if (name !== undefined && !declared.has(name)) {
			parser.option(name, {hidden: true});
		}
	}

	return parser;
}

/** The verb among the words, where there is one. */
function verbAmong(words: readonly string[]): VerbEntry | undefined {
	return findVerb(words.find((word) => verbNames.includes(word)));
}

/** What yargs found wrong, as a sentence, with what may have been meant. Its messages are pinned with its version; tests hold them. */
function explainUsage(message: string, parser: Argv, words: readonly string[]): LabError {
	const entry = verbAmong(words);
	const called = entry === undefined ? 'vmlab' : `vmlab ${nameOfVerb(entry)}`;
	const help = `See \`${called} --help\`.`;
	const flag = (name: string): string => (entry?.command.match(/[\w-]+/g)?.includes(name) === true ? `<${name}>` : `${name.length === 1 ? '-' : '--'}${name}`);
	const unknown = /^Unknown (?:argument|command)s?: (.*)$/.exec(message)?.[1]?.split(', ');
	if (unknown !== undefined) {
		return explainUnknown(unknown, {entry, called, help, words, options: Object.keys((parser as unknown as DeclaredOptions).getOptions().key)});
	}

	const missing = /^Not enough non-option arguments: got (\d+)/.exec(message)?.[1];
	if (missing !== undefined && entry !== undefined) {
		// An option that there is none of takes the next word for its value, which is then missing.
		const stranger = strangerAmong(words, parser);
		if (stranger !== undefined) {
			return explainUnknown([stranger], {entry, called, help, words, options: Object.keys((parser as unknown as DeclaredOptions).getOptions().key)});
		}

		return failure.usage(`\`${called}\` needs ${(entry.command.match(/<[^>]+>/g) ?? []).slice(Number(missing)).join(' and ')}`, `${help} Its form: \`${formOfVerb(entry)}\`.`);
	}

	const bare = /^Not enough arguments following: (.*)$/.exec(message)?.[1];
	if (bare !== undefined) {
		return failure.usage(`The option \`${flag(bare)}\` needs a value`, help);
	}

	const [, name, given, choices] = /Argument: (\S+), Given: (.*), Choices: (.*)/.exec(message) ?? [];
	if (name !== undefined && choices !== undefined) {
		const value = given?.replaceAll('"', '') ?? '';
		const meant = suggest(value, choices.replaceAll('"', '').split(', '));
		return failure.usage(
			`\`${flag(name)}\` must be one of ${choices.replaceAll('"', '')}${given === 'true' ? '' : `, not \`${value}\``}`,
			meant === undefined ? help : `Did you mean \`${meant}\`?`,
		);
	}

	return failure.usage(message.replace(/\.$/, ''), help);
}

/** The first option among the words that is none of the parser's: its name without dashes. */
function strangerAmong(words: readonly string[], parser: Argv): string | undefined {
	const {key, alias} = (parser as unknown as DeclaredOptions).getOptions();
	const declared = new Set([...Object.keys(key), ...Object.entries(alias).flatMap(([name, others]) => [name, ...others])].flatMap((name) => [name, `no-${name}`]));
	const end = words.includes('--') ? words.indexOf('--') : words.length;
	return words.slice(0, end).map((word) => /^(?:--([a-z][\w-]*)|-([a-z])$)/i.exec(word)).map((found) => found?.[1] ?? found?.[2]).find((name) => name !== undefined && !declared.has(name));
}

function explainUnknown(unknown: readonly string[], call: {entry: VerbEntry | undefined; called: string; help: string; words: readonly string[]; options: readonly string[]}): LabError {
	const {entry, called, help, words, options} = call;
	const verb = entry === undefined ? unknown.find((each) => words.includes(each)) : undefined;
	if (verb !== undefined) {
		const meant = suggest(verb, verbNames);
		return failure.usage(`There is no verb \`${verb}\``, meant === undefined ? help : `Did you mean \`vmlab ${meant}\`?`);
	}

	const [first = ''] = unknown;
	if (words.some((word) => word === `-${first}` || word === `--${first}` || word.startsWith(`--${first}=`))) {
		const meant = suggest(first, options.filter((option) => option.length > 1));
		return failure.usage(
			`\`${called}\` has no option \`${first.length === 1 ? '-' : '--'}${first}\``,
			meant === undefined ? help : `Did you mean \`--${meant}\`?`,
		);
	}

	const form = entry === undefined ? '' : entry.rest?.startsWith('-- ') === true ? ` What is handed on stands after \`--\`: \`${formOfVerb(entry)}\`.` : ` Its form: \`${formOfVerb(entry)}\`.`;
	return failure.usage(`\`${called}\` does not know what to do with \`${first}\``, `${help}${form}`);
}

/** `help`, and `help VERB`, as the flag that yargs knows. */
function withHelpFlag(words: readonly string[]): readonly string[] {
	const [first, verb] = words;
	if (first !== 'help') {
		return words;
	}

	return verb === undefined || verb.startsWith('-') || verbNames.includes(verb) ? [...words.slice(1), '--help'] : words.slice(1);
}

/** With the values of options that stand without one; what is behind `--` is for somebody else. */
function withBareValues(words: readonly string[]): readonly string[] {
	const {bareOptions = {}} = verbAmong(words) ?? {};
	const end = words.includes('--') ? words.indexOf('--') : words.length;
	return words.map((word, index) => {
		const value = index < end && word.startsWith('--') ? bareOptions[word.slice(2)] : undefined;
		return value === undefined ? word : `${word}=${value}`;
	});
}

/** Runs the command line's words (without `node` and the program) and gives the exit code. Never rejects. */
export async function runCommandLine(given: readonly string[]): Promise<number> {
	const words = withBareValues(withHelpFlag(given));
	if (words[0] === '--get-yargs-completions') {
		// What the script that yargs makes asks for. Answered here, since yargs would run the builders, which are asynchronous.
		const {complete} = await import('./completion.ts');
		process.stdout.write((await complete(words.at(-1) ?? '', words.slice(1))).map((word) => `${word}\n`).join(''));
		return exitCodes.done;
	}

	let exitCode: number = exitCodes.done;
	const parser = yargs([...words])
		.scriptName('vmlab')
		.usage('$0 VERB\n\nTest labs made of virtual machines.')
		.locale('en')
		.wrap(Math.min(110, process.stderr.columns || 110))
		.env('VMLAB')
		.parserConfiguration({'populate--': true, 'dot-notation': false, 'greedy-arrays': false, 'parse-positional-numbers': false, 'parse-numbers': true})
		.help('help').alias('help', 'h')
		.version(false)
		.option('version', {type: 'boolean', hidden: true})
		.demandCommand(1, 'No verb says what is to be done')
		.strict()
		.exitProcess(false)
		.epilogue('Exit codes: 0 done, 1 a scenario failed, 2 usage, 3 a declaration is wrong, 4 this computer, 5 a component\nor image, 6 a machine, 7 a machine or the cluster was not ready in time, 70 our own bug,\n124 out of time, 130 interrupted.');
	addCommonOptions(parser);
	parser.fail((message, error) => {
		throw error ?? explainUsage(message, parser, words);
	});
	for (const entry of verbs) {
		/** Options that may be given several times. */
		let repeatable: ReadonlySet<string> = new Set();
		parser.command(
			entry.command,
			entry.summary,
			async (command: Argv) => {
				const {verb} = await entry.load();
				const built = allowOtherVariables(verb.options(entry.rest === undefined ? command : command.usage(`${formOfVerb(entry)}\n\n${entry.summary}`)));
				repeatable = new Set((built as unknown as {getOptions(): {array: readonly string[]}}).getOptions().array);
				return built;
			},
			async (args: Record<string, unknown>) => {
				const {verb} = await entry.load();
				checkSingle(args, repeatable);
				exitCode = (await runVerb(verb as Verb<Record<string, unknown>>, args)) ?? exitCodes.done;
			},
		);
	}

	parser.completion('completion', 'Print a completion script for the shell');
	allowOtherVariables(parser);
	try {
		if (words.length === 1 && words[0] === '--version') {
			await parser.parseAsync(['version']);
		} else {
			await parser.parseAsync();
		}

		return exitCode;
	} catch (error) {
		// Some of what yargs finds wrong, a flag without its value for one, it throws past its own handler.
		return showError(error instanceof Error && error.name === 'YError' ? explainUsage(error.message, parser, words) : error);
	}
}

/** Refuses an option of one value that was given several: yargs makes a list of them, which nobody expects. Throws `usage`. */
function checkSingle(args: Readonly<Record<string, unknown>>, repeatable: ReadonlySet<string>): void {
	const isTwice = ([name, value]: [string, unknown]): boolean => Array.isArray(value) && name.length > 1 && !/[A-Z]/.test(name) && name !== '--' && !repeatable.has(name);
	const [twice] = Object.entries(args).find(isTwice) ?? [];
	if (twice !== undefined) {
		throw failure.usage(`\`--${twice}\` is given more than once`, 'It has one value: leave the others out.');
	}
}

async function runVerb(verb: Verb<Record<string, unknown>>, args: Record<string, unknown>): Promise<number | void> {
	// Flags that are the same for all verbs travel as the variables that mirror them: the folders below read those.
	for (const [name, variable] of [['cacheDir', 'VMLAB_CACHE_DIR'], ['stateDir', 'VMLAB_STATE_DIR'], ['project', 'VMLAB_PROJECT']] as const) {
		const value = args[name];
		if (typeof value === 'string') {
			process.env[variable] = value;
		}
	}

	const project = process.env['VMLAB_PROJECT'] ?? '';
	if (project !== '' && !statSync(project, {throwIfNoEntry: false})?.isDirectory()) {
		throw failure.usage(`There is no folder \`${project}\`, which is named as the project`, 'Name one that is there with --project or VMLAB_PROJECT, or neither to use the current one.');
	}

	const {abortOnSignals} = await import('./interruption.ts');
	const signal = abortOnSignals();
	return verb.run(args, {signal, output: (args['output'] as OutputFormat | undefined) ?? 'table', outputChosen: args['output'] !== undefined});
}
