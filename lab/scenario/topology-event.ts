/** A lab's topology as the event that reports draw their picture from. */
import type {TopologyEvent} from '../event/event.ts';
import type {LabTopology} from '../spec/topology.ts';

/** Networks with their subnets, machines with their addresses. */
export function topologyEvent(lab: string, topology: LabTopology): TopologyEvent {
	return {
		type: 'topology',
		lab,
		networks: topology.networks.map(({name, subnets}) => ({name, subnets: Object.values(subnets)})),
		machines: topology.machines.map(({name, role, links}) => ({
			name,
			role,
			links: links.map(({network, addresses}) => ({network, addresses: addresses.map(({address, prefix}) => `${address}/${prefix}`)})),
		})),
	};
}
