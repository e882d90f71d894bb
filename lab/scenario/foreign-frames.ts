/** No frame of a family that its network does not carry, from the boot on. */
import {LabError} from '../host/error.ts';
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

/** A failed claim, with the first such frame where there is one: it may be why. Other failures are what they were. Does not throw. */
export async function withForeignFrame(lab: ScenarioLab, since: number, error: LabError): Promise<LabError> {
	if (error.kind !== 'scenario') {
		return error;
	}

	const found = await refuseForeignFrames(lab, since).then(() => undefined, (thrown: unknown) => thrown);
	// A step within a step has told it already.
	return found instanceof LabError && found.code === 'foreign-frame' && ![error.message, ...error.details].some((text) => text.includes(found.message)) ? failure.withDetails(error, [found.message, ...found.details]) : error;
}
