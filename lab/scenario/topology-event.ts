/** A lab's topology as the event that reports draw their picture from. */
import type {TopologyEvent} from '../event/event.ts';
import {defaultMtu} from '../plan/networks.ts';
import type {LabTopology} from '../spec/topology.ts';

/** Networks with their subnets, machines with their devices and addresses. */
export function topologyEvent(lab: string, topology: LabTopology): TopologyEvent {
	return {
		type: 'topology',
		lab,
		networks: topology.networks.map(({name, subnets, mtu, kind, vlans}) => ({
			name, subnets: Object.values(subnets), ...(mtu !== defaultMtu && {mtu}), ...(kind !== undefined && {kind}),
			...(vlans !== undefined && {vlans: Object.entries(vlans).map(([network, id]) => ({network, id}))}),
		})),
		machines: topology.machines.map(({name, role, links}) => ({
			name,
			role,
			links: links.map(({network, device, vlan, addresses}) => ({
				network, device, ...(vlan !== undefined && {vlan: vlan.id}), addresses: addresses.map(({address, prefix}) => `${address}/${prefix}`),
			})),
		})),
	};
}
