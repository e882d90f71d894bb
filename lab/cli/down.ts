/** `vmlab down`: ends labs. One that died counts as ended; a name that no lab has is a failure, as with docker and kubectl. */
import {failure} from '../host/failure.ts';
import {endLab} from '../runtime/supervisor-client.ts';
import {allOf} from '../runtime/together.ts';
import {clearedAndRunning, ownLabs} from './lab-choice.ts';
import {print, say} from './output.ts';
import {defineVerb} from './verb.ts';

export const verb = defineVerb({
	options: (command) => command
		.positional('labs', {type: 'string', array: true, default: [] as string[], describe: 'Their names', defaultDescription: 'the only one that runs'})
		.option('all', {type: 'boolean', default: false, describe: 'All of them'}),
	async run({labs: names, all}, {signal, output, outputChosen}) {
		const {cleared, labs} = await clearedAndRunning();
		const running = labs.map(({name}) => name);
		// A lab that makes a stage is another command's: it is ended by its name, or with all others.
		const own = ownLabs(labs).map(({name}) => name);
		if (names.length === 0 && !all && own.length > 1) {
			throw failure.labNotClear(own);
		}

		const wanted = names.length > 0 ? names : all ? running : own;
		if (wanted.length === 0) {
			say('No lab runs.');
		}

		const ended: string[] = [];
		try {
			await allOf(wanted.map(async (name) => {
				if (running.includes(name)) {
					await endLab(name, {signal});
					ended.push(name);
					say(`The lab ${name} is down.`);
				} else if (cleared.includes(name)) {
					say(`The lab ${name} had died; what was left of it is cleared.`);
				} else {
					throw failure.noSuchLab(name, running);
				}
			}));
		} finally {
			if (outputChosen) {
				await print(output, ended.sort(), (names) => names.map((name) => `${name}\n`).join(''));
			}
		}
	},
});
