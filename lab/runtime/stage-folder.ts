/** Where the stages of a plan are. */
import type {MadeStage} from '../store/store.ts';

/** A stage that the plan names. That it was made is the caller's promise. */
export function stageFolder(made: ReadonlyMap<string, MadeStage>, name: string): string {
	const stage = made.get(name);
	if (stage === undefined) {
		throw new Error(`the stage "${name}" of the plan was not made`);
	}

	return stage.folder;
}
