/** The whole chain of a lab: what is made on this computer, and what is made inside machines. */
import {makeStages} from '../build/make.ts';
import type {MadeStage} from '../store/store.ts';
import {makeReadyLab, type ReadyLabRequest} from './ready-lab.ts';

/** A lab that is to be booted or forked. */
export interface ChainRequest extends Omit<ReadyLabRequest, 'made'> {
	/** Leaves out the ready lab, so that the lab is booted. */
	readonly cold?: boolean;
}

/**
 * Makes what of a lab's chain is not there yet. As long as this process lives none of it is pruned.
 *
 * @returns the stages by name; with that of the ready lab a lab that is booted from them is a fork
 * @throws what `makeStages`, `makeImageStore` and `makeReadyLab` throw
 */
export async function makeChain({cold = false, ...request}: ChainRequest): Promise<ReadonlyMap<string, MadeStage>> {
	const {plan, store, events, signal, scenario} = request;
	const made = await makeStages(plan, {
		store, events, signal, scenario,
		async makeInMachine(recipe, there, work) {
			// Whoever finds all of it made does not load all that runs labs.
			const {makeImageStore} = await import('./image-store.ts');
			await makeImageStore(recipe.lab, there, work, request);
		},
	});
	return cold ? made : makeReadyLab({...request, made});
}
