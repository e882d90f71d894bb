/** `vmlab start`, which is `npm start`: from a fresh machine to a scenario's report. */
import {cure} from './cure.ts';
import {renderFindings} from './doctor.ts';
import {examine, firstScenario} from './examination.ts';
import {failure} from '../host/failure.ts';
import {hasColor} from '../report/terminal.ts';
import {say} from './output.ts';
import {verb as run} from './run.ts';
import {addSettings} from './settings.ts';
import {defineVerb} from './verb.ts';

export const verb = defineVerb({
	options: (command) => addSettings(command
		.positional('scenario', {type: 'string', default: firstScenario, describe: 'What to run'})
		.option('report', {type: 'string', requiresArg: true, default: 'report', describe: 'Folder for the report'})),
	async run({scenario, set, report}, invocation) {
		const {signal} = invocation;
		let findings = await examine({scenario, set, signal});
		if (await cure(findings, {signal, say})) {
			findings = await examine({scenario, set, signal});
		}

		process.stderr.write(renderFindings(findings, hasColor(process.stderr)));
		const problems = findings.filter(({status}) => status === 'problem');
		if (problems.length > 0) {
			throw failure.hostNotReady(problems.map(({text}) => text));
		}

		say('');
		return run.run({scenarios: [scenario], all: false, mutate: false, set, report, keep: false, cold: false, repeat: '1', checkpoint: false, from: undefined, clock: 'frozen', break: false, jobs: '1'}, invocation);
	},
});
