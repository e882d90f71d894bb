/** `vmlab exec`: a command on a machine, with its outputs and its exit code. */
import {failure} from '../host/failure.ts';
import {quoteWord} from '../machine/quoting.ts';
import {chooseMachine, withConnection} from './lab-choice.ts';
import {defineVerb} from './verb.ts';

export const verb = defineVerb({
	options: (command) => command
		.positional('names', {type: 'string', array: true, demandOption: true, describe: '[lab] machine'})
		.option('stdin', {alias: 'i', type: 'boolean', default: false, describe: 'Give our standard input to the command'}),
	async run({names, stdin, ...rest}, {signal}) {
		const command = (rest as {'--'?: Array<string | number>})['--']?.map(String) ?? [];
		if (command.length === 0) {
			throw failure.usage('No command is given', 'Write it after `--`: vmlab exec node-1 -- uname -r');
		}

		const {lab, machine} = await chooseMachine(names);
		const input = stdin ? await readAll(process.stdin) : undefined;
		return withConnection(lab, machine.name, signal, async (connection) => {
			// A terminal gets no escape sequences of a guest; what is a file or a pipe gets every byte, as with docker exec.
			// One word is a command line for the machine's shell; several are a command and its arguments.
			const {exitCode} = await connection.exec(command.length === 1 ? command[0]! : command.map((word) => quoteWord(word)).join(' '), {
				signal,
				keep: false,
				...(input && {input}),
				pipe: {stdout: process.stdout.isTTY ? undefined : process.stdout, stderr: process.stderr.isTTY ? undefined : process.stderr},
				onOutput(text, stream) {
					process[stream].write(text);
				},
			});
			return exitCode;
		});
	},
});

async function readAll(stream: NodeJS.ReadableStream): Promise<Buffer> {
	const chunks: Buffer[] = [];
	for await (const chunk of stream) {
		chunks.push(Buffer.from(chunk));
	}

	return Buffer.concat(chunks);
}
