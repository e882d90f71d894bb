/** How much longer than declared things may take here. */
import {availableParallelism} from 'node:os';

/** More crowding than this is not made up for: then the computer is too small, and to say so beats waiting. */
const mostCrowding = 4;
/** Whatever the reasons: a machine that hangs is to be found out within a quarter of an hour. Clusters on two cores under TCG needed a twentieth of their deadlines at most. */
const slowest = 30;

/**
 * The factor for deadlines, which are declared for KVM on a computer that has a core for each of the guests'. At least 1.
 *
 * @param speed how many times slower than KVM a guest runs here, the computer's other load counted in: what the probe measured
 * @param cpus of all machines of the lab, which share the computer's cores
 */
export function paceOf(speed: number, cpus: number, cores = availableParallelism()): number {
	return Math.min(slowest, Math.max(1, speed) * Math.min(mostCrowding, Math.max(1, cpus / cores)));
}
