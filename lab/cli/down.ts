/** `vmlab down`: ends labs. To end what does not run is no failure. */
import {failure} from '../host/failure.ts';
import {endLab} from '../runtime/supervisor-client.ts';
import {allOf} from '../runtime/together.ts';
import {runningLabs} from './lab-choice.ts';
import {print, say} from './output.ts';
import {defineVerb} from './verb.ts';

export const verb = defineVerb({
	options: (command) => command
		.positional('labs', {type: 'string', array: true, default: [] as string[], describe: 'Their names', defaultDescription: 'the only one that runs'})
		.option('all', {type: 'boolean', default: false, describe: 'All of them'}),
	async run({labs: names, all}, {signal, output, outputChosen}) {
		const running = (await runningLabs()).map(({name}) => name);
		if (names.length === 0 && !all && running.length > 1) {
			throw failure.labNotClear(running);
		}

		const wanted = names.length === 0 ? running : names;
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
				} else {
					say(`No lab ${name} runs.`);
				}
			}));
		} finally {
			if (outputChosen) {
				await print(output, ended.sort(), (names) => names.map((name) => `${name}\n`).join(''));
			}
		}
	},
});
