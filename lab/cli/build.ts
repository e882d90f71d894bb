/** `vmlab build`: everything up to the boot. */
import path from 'node:path';
import {preparePlan} from '../build/prepare.ts';
import {folders} from '../host/folder.ts';
import {formatBytes} from '../report/duration.ts';
import {makeChain} from '../runtime/chain.ts';
import {loadScenario} from '../spec/load.ts';
import {openStore} from '../store/open-store.ts';
import {print} from './output.ts';
import {withTerminal} from './reporting.ts';
import {addSettings} from './settings.ts';
import {defineVerb} from './verb.ts';

export const verb = defineVerb({
	options: (command) => addSettings(command.positional('scenarios', {type: 'string', array: true, demandOption: true, describe: 'Whose labs'})),
	async run({scenarios, set}, {output, signal}) {
		const store = await openStore();
		// All plans first: a typing error in the last one is told before an hour of building.
		const plans = await Promise.all(scenarios.map(async (name) => {
			const {scenario, file} = await loadScenario(name);
			return {scenario: name, plan: await preparePlan(scenario.lab, {settings: set, file})};
		}));
		const stages = new Map(await withTerminal(async (events) => {
			const made = [];
			for (const {scenario, plan} of plans) {
				made.push(...await makeChain({plan, scenario, store, events, signal, cold: true, evidence: path.join(folders().state, 'evidence', 'build')}));
			}

			return made;
		}));
		await print(output, [...stages].map(([name, made]) => ({...made, name})), (all) => ({
			columns: ['STAGE', 'SIZE', 'FOLDER'],
			rows: all.map(({name, bytes, folder}) => [name, formatBytes(bytes), folder]),
		}));
	},
});
