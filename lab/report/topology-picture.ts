/** A lab as an SVG: networks as lines, each machine in a column of its own, joined to its networks. */
import type {TopologyEvent} from '../event/event.ts';
import {markup, type Markup} from './markup.ts';
import {printableLine} from './printable.ts';

/** Pixels. */
const column = 180;
const margin = 20;
const box = {width: 120, height: 44};
const lineHeight = 15;
/** Of a character of the labels, about. */
const characterWidth = 7;

/** Characters of a name that fit into a box, and of a network's label. */
const nameLength = 17;
const labelLength = 90;

/** The picture; nothing is assumed of names, numbers or families. */
export function topologyPicture(topology: TopologyEvent): Markup {
	const {networks, machines} = topology;
	const mostAddresses = Math.max(1, ...machines.flatMap(({links}) => links.map(({addresses}) => addresses.length)));
	/** Between a box and its network: room for the addresses. */
	const gap = 24 + mostAddresses * lineHeight;
	const networkY = (index: number): number => margin + box.height + gap + index * (box.height + 2 * gap);
	// The names of networks are at the right end of their lines, clear of all addresses.
	const labels = networks.map(({name, subnets}) => printableLine([name, ...subnets].join('  '), labelLength));
	const right = 2 * margin + machines.length * column + characterWidth * Math.max(0, ...labels.map((label) => label.length));
	const height = networkY(Math.max(0, networks.length - 1)) + gap + box.height + margin;

	const lines = labels.map((label, index) => markup`<line class="network" x1="${margin}" y1="${networkY(index)}" x2="${right}" y2="${networkY(index)}"/><text class="network-name" x="${right}" y="${networkY(index) - 8}">${label}</text>`);
	const boxes = machines.map((machine, index) => {
		const x = margin + index * column + box.width / 2;
		const joined = machine.links.map(({network}) => Math.max(0, networks.findIndex(({name}) => name === network)));
		const top = joined.length === 0 ? 0 : Math.min(...joined);
		// A machine of the first network alone is above it; all others are below the first of theirs.
		const y = joined.length < 2 && top === 0 ? margin : networkY(top) + gap;
		const links = machine.links.map(({addresses}, link) => {
			const end = networkY(joined[link] ?? 0);
			const isBelow = end < y;
			const firstLabel = isBelow ? end + 18 : end - 8 - (addresses.length - 1) * lineHeight;
			return markup`<line class="link" x1="${x}" y1="${isBelow ? y : y + box.height}" x2="${x}" y2="${end}"/><circle class="port" cx="${x}" cy="${end}" r="4"/>${addresses.map((address, line) => markup`<text class="address" x="${x + 7}" y="${firstLabel + line * lineHeight}">${printableLine(address, 43)}</text>`)}`;
		});
		return markup`${links}<rect class="machine" x="${x - box.width / 2}" y="${y}" width="${box.width}" height="${box.height}" rx="6"/><text class="machine-name" x="${x}" y="${y + 19}">${printableLine(machine.name, nameLength)}</text><text class="machine-role" x="${x}" y="${y + 35}">${printableLine(machine.role, nameLength)}</text>`;
	});
	return markup`<svg class="topology" viewBox="0 0 ${right + margin} ${height}" width="${right + margin}" height="${height}" role="img" aria-label="Machines and networks of the lab ${topology.lab}">${lines}${boxes}</svg>`;
}
