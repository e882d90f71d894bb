/** The networks of a plan as the fabric has them: a trunk and its VLANs are one switch there. */
import type {NetworkDeclaration, NetworkState} from '../fabric/fabric.ts';
import {nicsOf, vlanPlaces} from '../plan/networks.ts';
import type {Plan} from '../plan/plan.ts';
import {linkSocket} from './power-on.ts';

/**
 * All switches and wires of a lab, with their ports in the order of the machines: states name ports by their places.
 *
 * @param states where they go on from, by name
 */
export function fabricNetworks({topology: {networks}, machines}: Pick<Plan, 'topology' | 'machines'>, states: readonly NetworkState[] = []): NetworkDeclaration[] {
	const places = vlanPlaces(networks);
	const familiesOf = (network: string) => networks.find(({name}) => name === network)?.families;
	return networks.filter(({name}) => !places.has(name)).map(({name, families, kind, vlans}): NetworkDeclaration => ({
		name,
		families,
		...(kind === 'point-to-point' && {wire: true}),
		...(vlans !== undefined && {vlans: Object.entries(vlans).map(([network, id]) => ({network, id, families: familiesOf(network)}))}),
		state: states.find((state) => state.name === name),
		ports: machines.flatMap((machine) => nicsOf(machine)
			.filter(({network}) => network === name || places.get(network)?.trunk === name)
			.map(({network, device}) => ({name: machine.name, socket: linkSocket(machine.name, device), ...(network !== name && {network})}))),
	}));
}
