/** What makes two labs the same. */
import {digestOf} from '../host/digest.ts';
import type {Plan} from './plan.ts';

/**
 * The key of a plan: hex sha256 of all that a booted lab is made of. Options count only by what they lead to: a path among them would make equal labs
 * differ. How the host reaches the lab, what it collects of it, what its forks do, and
 * what is wrong with its links once it is ready is not part of the lab.
 */
export function planKey({topology: {options: _options, ...topology}, ...plan}: Omit<Plan, 'key'>): string {
	const {egress, overlays, image: {kernelArguments}} = plan;
	const machines = plan.machines.map(({evidence: _evidence, restartInForks: _restartInForks, ...machine}) => machine);
	const stages = plan.stages.map(({name, key}) => [name, key]);
	return digestOf({topology, machines, egress, overlays, kernelArguments, stages});
}

/** What makes two running labs the same to who uses them: all that they are made of, and what is done about them when they are up. Hex sha256. */
export function labKey({key, forwards, links = []}: Pick<Plan, 'key' | 'forwards' | 'links'>): string {
	return digestOf({key, forwards, links});
}
