/** What the library shows of `fork`: overlays and scenarios import the library too, and must not load all that runs labs. */
import type {LabDeclaration} from '../spec/lab.ts';
import type {ForkedLab, ForkOptions} from './fork.ts';

/**
 * Gives a private running copy of a lab, ready for use, to a test of any runner. The first time, all that is missing is built, and the lab is booted and
 * frozen, which takes minutes; then it takes a second or two.
 *
 * @param lab a scenario's name, or a lab
 * @throws declaration errors, and all that can fail when a lab is built and booted
 */
export async function fork(lab: string | LabDeclaration, options: ForkOptions = {}): Promise<ForkedLab> {
	const {fork: forkLab} = await import('./fork.ts');
	return forkLab(lab, options);
}
