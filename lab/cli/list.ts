/** `vmlab list`: the labs that run, or the scenarios that there are. */
import {listScenarios, loadScenario} from '../spec/load.ts';
import {runningLabs} from './lab-choice.ts';
import {print} from './output.ts';
import {showError} from './show-error.ts';
import {defineVerb} from './verb.ts';

export const verb = defineVerb({
	options: (command) => command.option('scenarios', {type: 'boolean', default: false, describe: 'The scenarios instead of the labs'}),
	async run({scenarios}, {output}) {
		if (scenarios) {
			const loaded = await Promise.allSettled((await listScenarios()).map(async (name) => {
				const {scenario: {summary, lab, budget, variants = {}}, file} = await loadScenario(name);
				return {name, summary, budget, overlays: lab.overlays, variants: Object.keys(variants), file};
			}));
			const all = loaded.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
			await print(output, all, (rows) => ({columns: ['SCENARIO', 'VARIANTS', 'SUMMARY'], rows: rows.map(({name, variants, summary}) => [name, variants.map((variant) => `@${variant}`).join(' '), summary])}));
			// Broken files do not hide the others, and are told: the last one by the end of the command.
			const broken = loaded.filter((outcome) => outcome.status === 'rejected');
			for (const {reason} of broken.slice(0, -1)) {
				await showError(reason);
			}

			if (broken.length > 0) {
				throw broken.at(-1)!.reason;
			}

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
