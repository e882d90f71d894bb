/** `vmlab logs`: a machine's journal. */
import {quoteWord} from '../machine/quoting.ts';
import {chooseMachine, withConnection} from './lab-choice.ts';
import {defineVerb} from './verb.ts';

export const verb = defineVerb({
	options: (command) => command
		.positional('names', {type: 'string', array: true, demandOption: true, describe: '[lab] machine'})
		.option('unit', {alias: 'u', type: 'string', array: true, nargs: 1, default: [] as string[], defaultDescription: 'all', describe: 'Only this systemd unit; repeatable'})
		.option('follow', {alias: 'f', type: 'boolean', default: false, describe: 'Go on with what comes'})
		.option('lines', {alias: 'n', type: 'number', requiresArg: true, describe: 'Only the last so many lines'}),
	async run({names, unit, follow, lines}, {signal}) {
		const {lab, machine} = await chooseMachine(names);
		const words = [
			'journalctl', '--no-pager', '--boot', ...unit.flatMap((name) => ['--unit', name]), ...(follow ? ['--follow'] : []),
			...(lines === undefined ? (follow ? ['--lines=all'] : []) : [`--lines=${lines}`]),
		];
		return withConnection(lab, machine.name, signal, async (connection) => {
			const {exitCode} = await connection.exec(words.map((word) => quoteWord(word)).join(' '), {
				signal,
				keep: false,
				onOutput(text, stream) {
					process[stream].write(text);
				},
			});
			return exitCode;
		});
	},
});
