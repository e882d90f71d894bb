/** `vmlab freeze`: a lab as it is now, kept under a name. */
import {failure} from '../host/failure.ts';
import {formatBytes} from '../report/duration.ts';
import {freezeRunningLab} from '../runtime/supervisor-client.ts';
import {say} from './output.ts';
import {defineVerb} from './verb.ts';

export const verb = defineVerb({
	options: (command) => command
		.positional('lab', {type: 'string', demandOption: true, describe: 'The lab'})
		.positional('name', {type: 'string', demandOption: true, describe: 'What it is kept as, for `vmlab fork`'}),
	async run({lab, name}, {signal}) {
		if (!/^[\w.-]+$/.test(name)) {
			throw failure.usage(`A frozen lab cannot be named \`${name}\``, 'Use letters, digits, dots, dashes and underscores.');
		}

		const bytes = await freezeRunningLab(lab, name, signal);
		say(`The lab ${lab} is kept as ${name} (${formatBytes(bytes)}), and goes on. \`vmlab fork ${name}\` starts a copy of it.`);
	},
});
