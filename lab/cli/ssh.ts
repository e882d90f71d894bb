/** `vmlab ssh`: a shell on a machine, on this terminal. */
import {quoteWord} from '../machine/quoting.ts';
import {chooseMachine, withConnection} from './lab-choice.ts';
import {defineVerb} from './verb.ts';

export const verb = defineVerb({
	options: (command) => command.positional('names', {type: 'string', array: true, demandOption: true, describe: '[lab] machine'}),
	async run({names, ...rest}, {signal}) {
		const words = (rest as {'--'?: Array<string | number>})['--']?.map(String) ?? [];
		const {lab, machine} = await chooseMachine(names);
		return withConnection(lab, machine.name, signal, async (connection) => connection.shell(
			{input: process.stdin, output: process.stdout, error: process.stderr, ...(process.env['TERM'] && {term: process.env['TERM']})},
			words.length === 0 ? undefined : words.length === 1 ? words[0] : words.map((word) => quoteWord(word)).join(' '),
			signal,
		));
	},
});
