/** `vmlab plan`: the chain of stages and what of it is there already, or a picture of the lab. */
import {failure} from '../host/failure.ts';
import {formatBytes} from '../report/duration.ts';
import {preparePlan} from '../build/prepare.ts';
import type {PlannedStage} from '../plan/plan.ts';
import {readyLabKey, readyLabName, readyLabNeeds, readyStageName} from '../plan/ready-lab.ts';
import {inputsOfReadyLab} from '../runtime/ready-lab.ts';
import {loadScenario} from '../spec/load.ts';
import {openStore} from '../store/open-store.ts';
import type {MadeStage} from '../store/store.ts';
import {print} from './output.ts';
import {addSettings} from './settings.ts';
import {defineVerb} from './verb.ts';

/** A stage in `vmlab plan -o json`. */
interface ShownStage {
	readonly name: string;
	/** Hex; '' for a lab whose stages are not all there. */
	readonly key: string;
	readonly cached: boolean;
	readonly needs: readonly string[];
	/** Where it is, how long it took to make (seconds), how much room it takes (bytes): only where it is cached. */
	readonly folder?: string;
	readonly seconds?: number;
	readonly bytes?: number;
}

export const verb = defineVerb({
	options: (command) => addSettings(command.positional('scenario', {type: 'string', demandOption: true, describe: 'Whose lab'}))
		.option('graph', {choices: ['mermaid', 'svg'] as const, describe: 'Draw machines and networks instead: as text for Mermaid, or with --graph=svg as an SVG'})
		.example('vmlab plan ipv4 --graph=svg >ipv4.svg', ''),
	async run({scenario: name, set, graph}, {output, outputChosen}) {
		if (graph !== undefined && outputChosen) {
			throw failure.usage(`A picture is text of its own, and not of the form ${output}`, 'Leave out --output, or --graph; `vmlab plan SCENARIO --graph=svg` draws an SVG.');
		}

		const {scenario, file} = await loadScenario(name);
		const plan = await preparePlan(scenario.lab, {settings: set, file});
		if (graph !== undefined) {
			// Who wants no picture need not wait for what draws it.
			const [{topologyEvent}, {topologyPicture}, {topologyMermaid}] = await Promise.all([
				import('../scenario/topology-event.ts'), import('../report/topology-picture.ts'), import('../report/topology-mermaid.ts'),
			]);
			const drawn = topologyEvent(name, plan.topology);
			process.stdout.write(graph === 'svg' ? topologyPicture(drawn, true).text : topologyMermaid(drawn));
			return;
		}

		const store = await openStore();
		const found = new Map<string, MadeStage>();
		const show = async ({name: stage, key, needs}: Pick<PlannedStage, 'name' | 'key' | 'needs'>): Promise<ShownStage> => {
			const made = await store.find(key);
			if (made !== undefined) {
				found.set(stage, made);
			}

			return {
				name: stage, key, cached: made !== undefined, needs,
				...(made && {folder: made.folder, seconds: made.seconds, bytes: made.bytes}),
			};
		};

		const stages = await Promise.all(plan.stages.map(show));
		// The lab itself, ready and frozen: what it depends on is known when the stages are there.
		const needs = readyLabNeeds(plan);
		for (const lab of plan.change === undefined ? [plan] : [plan.change.early, plan]) {
			const stage = {name: readyStageName(lab), needs: lab.change === undefined ? needs : [...needs, readyLabName]};
			stages.push(needs.every((need) => found.has(need)) ? await show({...stage, key: readyLabKey(await inputsOfReadyLab(lab, found))}) : {...stage, key: '', cached: false});
		}

		await print(output, {scenario: name, key: plan.key, overlays: plan.overlays, machines: plan.machines.map((machine) => machine.name), stages}, (shown) => ({
			columns: ['STAGE', 'KEY', 'STATE', 'SIZE'],
			rows: shown.stages.map((stage) => [stage.name, stage.key.slice(0, 12), stage.cached ? 'cached' : 'to be made', stage.bytes === undefined ? '' : formatBytes(stage.bytes)]),
		}));
	},
});
