/** The kubectl that was built for a lab's cluster. */
import path from 'node:path';
import {failure} from '../host/failure.ts';
import type {LabRecord} from './lab-record.ts';

/** The stage that has it. */
export const kubectlStage = 'component kubernetes';

/** The program in the folder of that stage. */
export function kubectlIn(stageFolder: string): string {
	return path.join(stageFolder, 'kubectl');
}

/** The one of a lab that lives. Throws `no-cluster` where it has none. */
export function kubectlOf(lab: LabRecord): string {
	const folder = lab.stages[kubectlStage];
	if (folder === undefined) {
		throw failure.noCluster(lab.name, 'kubectl');
	}

	return kubectlIn(folder);
}
