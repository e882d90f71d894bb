/** `vmlab plan`: the chain of stages, and what of it is there already. */
import {formatBytes} from '../report/duration.ts';
import {preparePlan} from '../build/prepare.ts';
import {loadScenario} from '../spec/load.ts';
import {openStore} from '../store/open-store.ts';
import {print} from './output.ts';
import {addSettings} from './settings.ts';
import {defineVerb} from './verb.ts';

/** A stage in `vmlab plan -o json`. */
interface ShownStage {
	readonly name: string;
	readonly key: string;
	readonly cached: boolean;
	readonly needs: readonly string[];
	/** Where it is, how long it took to make (seconds), how much room it takes (bytes): only where it is cached. */
	readonly folder?: string;
	readonly seconds?: number;
	readonly bytes?: number;
}

export const verb = defineVerb({
	options: (command) => addSettings(command.positional('scenario', {type: 'string', demandOption: true, describe: 'Whose lab'})),
	async run({scenario: name, set}, {output}) {
		const [{scenario, file}, store] = await Promise.all([loadScenario(name), openStore()]);
		const plan = await preparePlan(scenario.lab, {settings: set, file});
		const stages = await Promise.all(plan.stages.map(async ({name: stage, key, needs}): Promise<ShownStage> => {
			const made = await store.find(key);
			return {
				name: stage, key, cached: made !== undefined, needs,
				...(made && {folder: made.folder, seconds: made.seconds, bytes: made.bytes}),
			};
		}));
		await print(output, {scenario: name, key: plan.key, overlays: plan.overlays, machines: plan.machines.map((machine) => machine.name), stages}, (shown) => ({
			columns: ['STAGE', 'KEY', 'STATE', 'SIZE'],
			rows: shown.stages.map((stage) => [stage.name, stage.key.slice(0, 12), stage.cached ? 'cached' : 'to be made', stage.bytes === undefined ? '' : formatBytes(stage.bytes)]),
		}));
	},
});
