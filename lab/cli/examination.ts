/** The doctor's look at this computer for the lab of a scenario. */
import type {Finding} from '../host/doctor/finding.ts';
import {preparePlan} from '../build/prepare.ts';
import {examineHost} from '../runtime/doctor.ts';
import {listScenarios, loadScenario} from '../spec/load.ts';
import {openStore} from '../store/open-store.ts';

/** The scenario that `npm start` runs and that the doctor takes as the measure where none is named. */
export const firstScenario = 'ipv4';

/** All findings for the scenario's lab. A first scenario that a package does not have is no reason to find nothing. */
export async function examine(options: {scenario: string | undefined; set: readonly string[]; signal: AbortSignal}): Promise<Finding[]> {
	const {scenario = firstScenario, set, signal} = options;
	if (options.scenario === undefined && !(await listScenarios()).includes(scenario)) {
		return examineHost({signal});
	}

	const [loaded, store] = await Promise.all([loadScenario(scenario), openStore()]);
	return examineHost({lab: {plan: await preparePlan(loaded.scenario.lab, {settings: set, file: loaded.file}), store}, signal});
}
