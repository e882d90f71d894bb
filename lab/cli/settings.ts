/** The options that all verbs have which deal with a scenario's lab. */
import type {Argv} from 'yargs';
import type {Setting} from '../plan/options.ts';

/** Adds `--set`. */
export function addSettings<Arguments>(command: Argv<Arguments>) {
	return command.option('set', {
		type: 'string', array: true, nargs: 1, default: [] as string[], defaultDescription: 'none', describe: 'Set an option of an overlay: overlay.option=value; repeatable',
	});
}

/** Reads `--set`. Throws `bad-value`. */
export async function readSettings(words: readonly string[]): Promise<Setting[]> {
	const {parseSetting} = await import('../plan/options.ts');
	return words.map((word) => parseSetting(word));
}
