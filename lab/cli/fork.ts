/** `vmlab fork`: a private running copy of a lab that was kept. */
import {failure} from '../host/failure.ts';
import {findKeptLab} from '../runtime/kept-lab.ts';
import {checkLabName} from '../runtime/lab-record.ts';
import {evidenceFolderOf} from '../runtime/last-words.ts';
import {clearDeadLabs} from '../runtime/reaper.ts';
import {startLab} from '../runtime/supervisor-client.ts';
import {openStore} from '../store/open-store.ts';
import {clockOption, parseClock} from './clock.ts';
import {withTerminal} from './reporting.ts';
import {showStatus} from './status.ts';
import {defineVerb} from './verb.ts';

export const verb = defineVerb({
	options: (command) => command
		.positional('name', {type: 'string', describe: 'What it was kept as by `vmlab freeze`'})
		.option('at', {type: 'string', requiresArg: true, describe: 'A checkpoint instead: RUN/STEP, as `vmlab run --checkpoint` told them', conflicts: 'name'})
		.option('clock', clockOption)
		.option('lab', {type: 'string', requiresArg: true, describe: 'The name of the copy', defaultDescription: 'the name that it was kept as; checkpoint, with --at'}),
	async run({name, at, lab, clock: time}, {signal, output, outputChosen}) {
		const clock = parseClock(time);
		const wanted = at ?? name;
		if (wanted === undefined) {
			throw failure.usage('What is to be forked?', 'Name a lab that `vmlab freeze` kept, or a checkpoint with `--at RUN/STEP`; `vmlab cache list` shows both.');
		}

		if (lab !== undefined) {
			checkLabName(lab);
		}

		const [store] = await Promise.all([openStore(), clearDeadLabs()]);
		const {plan, made} = await findKeptLab(at === undefined ? 'frozen' : 'checkpoint', wanted, store, signal);
		const copy = lab ?? (at === undefined ? wanted : 'checkpoint');
		await withTerminal(async (events) => startLab({name: copy, plan, made, events, signal, clock, evidence: evidenceFolderOf(copy)}));
		if (outputChosen) {
			await showStatus(copy, output, signal);
		}
	},
});
