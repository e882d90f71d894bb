/** `vmlab up`: a lab by a scenario's name, without its steps, which goes on when we end. */
import {preparePlan} from '../build/prepare.ts';
import {labKey} from '../plan/plan-key.ts';
import {makeChain} from '../runtime/chain.ts';
import {checkLabName} from '../runtime/lab-record.ts';
import {evidenceFolderOf} from '../runtime/last-words.ts';
import {startLab} from '../runtime/supervisor-client.ts';
import {labNameOf, loadScenario} from '../spec/load.ts';
import {openStore} from '../store/open-store.ts';
import {clockOption, parseClock} from './clock.ts';
import {say} from './output.ts';
import {withTerminal} from './reporting.ts';
import {addSettings} from './settings.ts';
import {startOnce} from './start-once.ts';
import {showStatus} from './status.ts';
import {defineVerb} from './verb.ts';

export const verb = defineVerb({
	options: (command) => addSettings(command.positional('scenario', {type: 'string', demandOption: true, describe: 'Whose lab'}))
		.option('name', {type: 'string', requiresArg: true, describe: 'The name of the lab', defaultDescription: 'the scenario\'s'})
		.option('clock', clockOption)
		.option('cold', {type: 'boolean', default: false, describe: 'Boot the lab, instead of forking one that was frozen when it was ready'}),
	async run({scenario: scenarioName, set, cold, clock: time, name: chosen}, {signal, output, outputChosen}) {
		const clock = parseClock(time, cold);
		const name = chosen ?? labNameOf(scenarioName);
		const {scenario, file} = await loadScenario(scenarioName);
		checkLabName(name);
		const plan = await preparePlan(scenario.lab, {settings: set, file});
		const other = await startOnce({name, labKey: labKey(plan)}, async () => {
			const store = await openStore();
			await withTerminal(async (events) => {
				const evidence = evidenceFolderOf(name);
				const made = await makeChain({plan, store, events, signal, evidence, scenario: scenarioName, cold});
				await startLab({name, scenario: scenarioName, plan, made, events, signal, clock, evidence});
			});
		});
		if (other !== undefined) {
			say(other);
		}

		if (outputChosen) {
			await showStatus(name, output, signal);
		}
	},
});
