/** A lab as a flowchart in the language of Mermaid, which GitHub and others draw where it stands in Markdown. */
import type {TopologyEvent} from '../event/event.ts';
import {printableLine} from './printable.ts';
import {networkWords, nicsWithLabels, vlanOf, wireEnds} from './topology-layout.ts';

/** Characters of one line of a label. */
const lineLength = 90;

/** A label of these lines: what means something to Mermaid or to HTML is written as the number of its character. */
function quoted(lines: readonly string[]): string {
	const escaped = lines.map((line) => printableLine(line, lineLength).replaceAll(/[^\p{L}\p{N} ./:,@_-]/gu, (character) => `#${character.codePointAt(0)};`));
	return `"${escaped.join('<br/>')}"`;
}

/** The text of the flowchart, with a line break at its end; nothing is assumed of names, numbers or families. */
export function topologyMermaid({networks, machines}: TopologyEvent): string {
	const networkId = (name: string): string | undefined => {
		const place = networks.findIndex((network) => network.name === name);
		return place === -1 ? undefined : `n${place}`;
	};

	const wires = networks.flatMap((network) => {
		const ends = wireEnds(network, machines);
		return ends === undefined ? [] : [{network, ends}];
	});
	const isWire = (name: string): boolean => wires.some(({network}) => network.name === name);
	const buses = networks.filter(({name}) => !isWire(name));
	return [
		'flowchart LR',
		...machines.map(({name, role}, index) => `    m${index}[${quoted([name, role])}]`),
		...buses.map((network) => `    ${networkId(network.name)}([${quoted([network.name, ...network.subnets, ...networkWords(network, networks)])}])`),
		...machines.flatMap((machine, index) => nicsWithLabels(machine).flatMap(({link, label}) => {
			const id = networkId(link.network);
			return id === undefined || isWire(link.network) ? [] : [`    m${index} ---${label.length === 0 ? '' : `|${quoted(label)}|`} ${id}`];
		})),
		...wires.map(({network, ends}) => {
			const told = ends.map((end) => [end.name, ...nicsWithLabels(end).filter(({link}) => link.network === network.name).flatMap(({label}) => label)].join(' '));
			return `    m${machines.indexOf(ends[0])} ---|${quoted([[network.name, ...networkWords(network, networks)].join(', '), ...told])}| m${machines.indexOf(ends[1])}`;
		}),
		...buses.flatMap(({name}) => {
			const vlan = vlanOf(name, networks);
			return vlan === undefined ? [] : [`    ${networkId(vlan.trunk)} -.-|${quoted([`VLAN ${vlan.id}`])}| ${networkId(name)}`];
		}),
	].map((line) => `${line}\n`).join('');
}
