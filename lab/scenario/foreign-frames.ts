/** No frame of a family that its network does not carry, from the boot on. */
import {failure} from '../host/failure.ts';
import type {ScenarioLab} from './scenario-lab.ts';

/**
 * Looks at what the lab's networks have carried.
 *
 * @param since when the scenario began, in milliseconds since 1970: what is older was sent while the lab booted
 * @throws `foreign-frame` (kind scenario) with the first such frame; what `traffic` of the lab throws
 */
export async function refuseForeignFrames({plan, traffic}: ScenarioLab, since: number): Promise<void> {
	for (const {network, foreign} of await traffic()) {
		if (foreign !== undefined) {
			const {families = []} = plan.topology.networks.find(({name}) => name === network) ?? {};
			const when = foreign.at < since ? 'before the scenario began (from its boot on frames are counted)' : 'while the scenario ran';
			throw failure.foreignFrame(network, families, foreign.machine, when, foreign.summary, foreign.bytes);
		}
	}
}
