/** Where the stages of a plan are. */
import path from 'node:path';
import type {Plan} from '../plan/plan.ts';
import type {MadeStage} from '../store/store.ts';

/** What is made of an image store, in its stage: a read-only filesystem. */
export const imageStoreFile = 'store.erofs';

/** A stage that the plan names. That it was made is the caller's promise. */
export function stageFolder(made: ReadonlyMap<string, MadeStage>, name: string): string {
	const stage = made.get(name);
	if (stage === undefined) {
		throw new Error(`the stage "${name}" of the plan was not made`);
	}

	return stage.folder;
}

/** The kernel that the machines of a plan boot. */
export function kernelOf(plan: Plan, made: ReadonlyMap<string, MadeStage>): string {
	return path.join(stageFolder(made, plan.machines[0]?.stages.image ?? `image ${plan.imageName}`), 'vmlinuz');
}
