/** The option of all verbs that deal with a scenario's lab. */
import type {Argv} from 'yargs';

/** Adds `--set`. */
export function addSettings<Arguments>(command: Argv<Arguments>) {
	return command.option('set', {
		type: 'string', array: true, nargs: 1, default: [] as string[], defaultDescription: 'none', describe: 'Set an option of an overlay: overlay.option=value; repeatable',
	});
}
