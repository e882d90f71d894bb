/** `vmlab list`: the labs that run, or the scenarios that there are. */
import {listScenarios, loadScenario} from '../spec/load.ts';
import {runningLabs} from './lab-choice.ts';
import {print} from './output.ts';
import {defineVerb} from './verb.ts';

export const verb = defineVerb({
	options: (command) => command.option('scenarios', {type: 'boolean', default: false, describe: 'The scenarios instead of the labs'}),
	async run({scenarios}, {output}) {
		if (scenarios) {
			const all = await Promise.all((await listScenarios()).map(async (name) => {
				const {scenario: {summary, lab, budget}, file} = await loadScenario(name);
				return {name, summary, budget, overlays: lab.overlays, file};
			}));
			await print(output, all, (rows) => ({columns: ['SCENARIO', 'SUMMARY'], rows: rows.map(({name, summary}) => [name, summary])}));
			return;
		}

		const records = await runningLabs();
		const labs = records.map(({name, scenario, makes, state, machines}) => ({name, scenario, makes, state, machines: machines.map((machine) => machine.name)}));
		/** With what is wrong with each on purpose. */
		const shown = new Map(records.map(({name, machines}) => [name, machines.map((machine) => `${machine.name}${machine.faults === undefined || machine.faults.length === 0 ? '' : ` (${machine.faults.join(', ')})`}`)]));
		await print(output, labs, (rows) => ({
			columns: ['LAB', 'SCENARIO', 'STATE', 'MACHINES'],
			none: 'No lab runs; `vmlab up SCENARIO` starts one.',
			rows: rows.map(({name, scenario, makes, state}) => [name, scenario ?? '', makes === undefined ? state : `${state}, to make the ${makes}`, shown.get(name)?.join(' ') ?? '']),
		}));
	},
});
