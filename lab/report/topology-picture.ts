/** A lab as an SVG: networks as lines across, point-to-point links as lines between two machines, each machine in a column of its own. */
import type {TopologyEvent} from '../event/event.ts';
import {markup, Markup} from './markup.ts';
import {printableLine} from './printable.ts';
import {pictureStyle} from './style.ts';
import {box, firstLabelY, layOutTopology, lineHeight} from './topology-layout.ts';

/** Characters of a name that fit into a box. */
const nameLength = 17;

/**
 * The picture; nothing is assumed of names, numbers or families.
 *
 * @param alone it is a file of its own, and brings its look along; else it is part of a page that has it
 */
export function topologyPicture(topology: TopologyEvent, alone = false): Markup {
	const {width, height, networks, trunks, machines} = layOutTopology(topology);
	const lines = networks.map(({from, to, y, isWire, label, labelAt}) => markup`<line class="${isWire ? 'network wire' : 'network'}" x1="${from}" y1="${y}" x2="${to}" y2="${y}"/>${label.map((text, line) => (labelAt === undefined
		? markup`<text class="${line === 0 ? 'network-name' : 'network-subnets'}" x="${to}" y="${firstLabelY(y, line > 0, 1)}">${text}</text>`
		: markup`<text class="${line === 0 ? 'wire-name' : 'wire-subnet'}" x="${labelAt.x}" y="${labelAt.y + line * lineHeight}">${text}</text>`))}`);
	const joints = trunks.map(({x, from, to}) => markup`<line class="network" x1="${x}" y1="${from}" x2="${x}" y2="${to}"/>`);
	const boxes = machines.map(({machine, x, y, links}) => markup`${links.map(({x: at, end, isBelow, label}) => {
		const first = firstLabelY(end, isBelow, label.length);
		return markup`<line class="link" x1="${at}" y1="${isBelow ? y : y + box.height}" x2="${at}" y2="${end}"/><circle class="port" cx="${at}" cy="${end}" r="4"/>${label.map((text, line) => markup`<text class="address" x="${at + 8}" y="${first + line * lineHeight}">${text}</text>`)}`;
	})}<rect class="machine" x="${x - box.width / 2}" y="${y}" width="${box.width}" height="${box.height}" rx="6"/><text class="machine-name" x="${x}" y="${y + 19}">${printableLine(machine.name, nameLength)}</text><text class="machine-role" x="${x}" y="${y + 35}">${printableLine(machine.role, nameLength)}</text>`);
	const name = `Machines and networks of the lab ${printableLine(topology.lab)}`;
	const size = markup`viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${name}"`;
	return alone
		? markup`<svg xmlns="http://www.w3.org/2000/svg" class="topology" ${size}><title>${name}</title><style>${new Markup(pictureStyle)}</style><rect class="ground" width="${width}" height="${height}"/>${lines}${joints}${boxes}</svg>\n`
		: markup`<svg class="topology" ${size}>${lines}${joints}${boxes}</svg>`;
}
