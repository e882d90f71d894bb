/** Where the parts of a topology's picture are: networks as lines in rows, machines as boxes in columns. */
import type {TopologyEvent} from '../event/event.ts';
import {printableLine} from './printable.ts';

type Network = TopologyEvent['networks'][number];
type Machine = TopologyEvent['machines'][number];
type Link = Machine['links'][number];

/** A machine's box, in pixels. */
export const box = {width: 120, height: 44};
/** From one line of a label to the next, in pixels. */
export const lineHeight = 15;
const margin = 20;
const leastColumn = 150;
/** Of a character of the labels, about. */
const characterWidth = 7;
/** Between a line and the labels above and below it. */
export const labelGap = {above: 8, below: 18};

/** Between the lines from a box on one side of it, and from its middle to the last. */
const linkStep = 14;
const mostOffset = 54;

/** Characters of a network's label, and of one at a link. */
const labelLength = {network: 90, link: 52};

/** What a network is drawn as. */
export interface PlacedNetwork {
	readonly from: number;
	readonly to: number;
	readonly y: number;
	readonly isWire: boolean;
	/** Its name and the rest; of a network in two lines, above and below the end of its own, of a wire one below the other from `labelAt` on. */
	readonly label: readonly string[];
	readonly labelAt?: {readonly x: number; readonly y: number};
}

/** What a machine is drawn as, in the middle of its column. */
export interface PlacedMachine {
	readonly machine: Machine;
	readonly x: number;
	/** Of the box's upper edge. */
	readonly y: number;
	readonly links: ReadonlyArray<{readonly x: number; readonly end: number; readonly isBelow: boolean; readonly label: readonly string[]}>;
}

/** All of a picture. */
export interface TopologyLayout {
	readonly width: number;
	readonly height: number;
	readonly networks: readonly PlacedNetwork[];
	/** The line that joins a trunk with its VLANs: they are one switch. */
	readonly trunks: ReadonlyArray<{readonly x: number; readonly from: number; readonly to: number}>;
	readonly machines: readonly PlacedMachine[];
}

/** The VLAN that a network is, where it is one. */
export function vlanOf(name: string, networks: readonly Network[]): {readonly trunk: string; readonly id: number} | undefined {
	for (const {name: trunk, vlans = []} of networks) {
		const found = vlans.find(({network}) => network === name);
		if (found !== undefined) {
			return {trunk, id: found.id};
		}
	}

	return undefined;
}

/** What is told of a network beside its name and its subnets. */
export function networkWords({name, mtu, vlans = []}: Network, networks: readonly Network[]): string[] {
	const vlan = vlanOf(name, networks);
	return [
		...(vlan === undefined ? [] : [`VLAN ${vlan.id} of ${vlan.trunk}`]),
		...(vlans.length === 0 ? [] : [`VLANs ${vlans.map(({id}) => id).join(', ')}`]),
		...(mtu === undefined ? [] : [`MTU ${mtu}`]),
	];
}

/** The NICs of a machine, each with what is told of it: its device, its addresses, and those of its VLANs. */
export function nicsWithLabels({links}: Machine): Array<{readonly link: Link; readonly label: readonly string[]}> {
	return links.filter(({vlan}) => vlan === undefined).map((link) => {
		const vlans = links.filter(({vlan, device}) => vlan !== undefined && link.device !== undefined && device === `${link.device}.${vlan}`);
		return {link, label: [
			...(link.device === undefined ? [] : [link.device]),
			...link.addresses,
			...vlans.flatMap(({device, addresses}) => addresses.map((address) => `${device} ${address}`)),
		]};
	});
}

/** The two ends of a point-to-point link; undefined for what is none, or has other machines than two. */
export function wireEnds({name, kind}: Network, machines: readonly Machine[]): [Machine, Machine] | undefined {
	const [first, second, ...more] = kind === 'point-to-point' ? machines.filter(({links}) => links.some(({network, vlan}) => network === name && vlan === undefined)) : [];
	return first === undefined || second === undefined || more.length > 0 ? undefined : [first, second];
}

/** As they were declared, but VLANs right behind their trunk. */
function inRows(networks: readonly Network[]): Network[] {
	const free = networks.filter(({name}) => vlanOf(name, networks) === undefined);
	return free.flatMap((network) => [network, ...(network.vlans ?? []).flatMap((vlan) => networks.find(({name}) => name === vlan.network) ?? [])]);
}

/** By the middle of their networks, so that a path through several routers is drawn as stairs. */
function inColumns(machines: readonly Machine[], networks: readonly Network[]): Machine[] {
	const middle = ({links}: Machine): number => {
		const places = links.filter(({vlan}) => vlan === undefined).map(({network}) => Math.max(0, networks.findIndex(({name}) => name === network)));
		return places.reduce((sum, place) => sum + place, 0) / Math.max(1, places.length);
	};

	return [...machines].sort((a, b) => middle(a) - middle(b));
}

/** The row of each network. Wires that have no column in common share one. */
function rowsOf(networks: readonly Network[], machines: readonly Machine[]): number[] {
	let row = -1;
	let shared: Array<readonly [number, number]> | undefined;
	return networks.map((network) => {
		const columns = wireEnds(network, machines)?.map((end) => machines.indexOf(end)) as [number, number] | undefined;
		const fits = columns !== undefined && shared?.every(([from, to]) => columns[1] < from || columns[0] > to) === true;
		row += fits ? 0 : 1;
		shared = columns === undefined ? undefined : fits ? [...shared!, columns] : [columns];
		return row;
	});
}

function inOneLine(words: readonly string[]): string {
	return words.join(' · ');
}

/**
 * Where the lines from a box to its networks are, from the middle of the box: those on one side of it next to each other, the farthest leftmost, so that none crosses the
 * label of another, which is to the right of its line.
 */
function offsetsOf(rows: readonly number[], band: number): number[] {
	const nearer = (row: number): number[] => rows.filter((other) => (band > row ? band > other && other > row : band <= other && other < row));
	return rows.map((row) => -Math.min(mostOffset, linkStep * nearer(row).length));
}

/** Places everything; nothing is assumed of names, numbers or families. */
export function layOutTopology(topology: TopologyEvent): TopologyLayout {
	const networks = inRows(topology.networks);
	const machines = inColumns(topology.machines, networks);
	const rows = rowsOf(networks, machines);
	const rowCount = Math.max(1, ...rows.map((row) => row + 1));
	const rowOf = (name: string): number => rows[networks.findIndex((network) => network.name === name)] ?? 0;
	const placed = machines.map((machine) => {
		const nics = nicsWithLabels(machine).map(({link, label}) => ({row: rowOf(link.network), network: link.network, label: label.map((line) => printableLine(line, labelLength.link))}));
		const top = Math.min(...nics.map(({row}) => row), rowCount - 1);
		// One of the first network alone is above it; all others are below the first of theirs.
		return {machine, nics, band: nics.length < 2 && top === 0 ? 0 : top + 1};
	});
	const wires = networks.map((network) => {
		const ends = wireEnds(network, machines);
		if (ends === undefined) {
			return undefined;
		}

		const left = placed[machines.indexOf(ends[0])]!;
		const label = [inOneLine([network.name, ...networkWords(network, networks)]), ...network.subnets].map((line) => printableLine(line, labelLength.link));
		// Where the left machine has no label.
		return {label, from: machines.indexOf(ends[0]), to: machines.indexOf(ends[1]), isBelow: left.band <= rowOf(network.name)};
	});
	const labels = networks.map((network) => [inOneLine([network.name, ...networkWords(network, networks)]), inOneLine(network.subnets)].map((line) => printableLine(line, labelLength.network)));
	const column = Math.max(leastColumn, ...[...placed.flatMap(({nics}) => nics.flatMap(({label}) => label)), ...wires.flatMap((wire) => wire?.label ?? [])].map((line) => 24 + characterWidth * line.length));
	const mostLines = (row: number, isBelow: boolean): number => Math.max(
		// The subnets of a network.
		isBelow && labels.some((label, index) => rows[index] === row && wires[index] === undefined && label[1] !== '') ? 1 : 0,
		...placed.flatMap(({nics, band}) => nics.filter((nic) => nic.row === row && band > row === isBelow).map(({label}) => label.length)),
		...wires.flatMap((wire, index) => (wire !== undefined && rows[index] === row && wire.isBelow === isBelow ? [wire.label.length] : [])),
	);
	const room = (lines: number, gap: number): number => (lines === 0 ? 0 : gap + lines * lineHeight);

	// From the top down: a band with boxes, then the line of a row, and so on.
	const rowY: number[] = [];
	const boxY: number[] = [];
	let y = margin;
	for (let band = 0; band <= rowCount; band++) {
		y += band === 0 ? 0 : room(mostLines(band - 1, true), labelGap.below);
		boxY.push(y + (band === 0 ? 0 : 6));
		y += placed.some((each) => each.band === band) ? box.height + (band === 0 ? 0 : 12) : 0;
		if (band < rowCount) {
			// The name of the next network stands above its line.
			y += Math.max(room(mostLines(band, false), labelGap.above), 30);
			rowY.push(y);
		}
	}

	const xOf = (place: number): number => 2 * margin + place * column + box.width / 2;
	const offsets = placed.map(({nics, band}) => offsetsOf(nics.map(({row}) => row), band));
	/** Where the line from the machine in a column to a network ends. */
	const endOf = (place: number, network: string): number => xOf(place) + (offsets[place]![placed[place]!.nics.findIndex((nic) => nic.network === network)] ?? 0);
	const widest = Math.max(0, ...labels.flatMap((label, index) => (wires[index] === undefined ? label.map((line) => line.length) : [])));
	const right = 3 * margin + machines.length * column + characterWidth * widest;
	return {
		width: right + margin, height: y + margin,
		networks: wires.map((wire, index): PlacedNetwork => {
			const lineY = rowY[rows[index]!]!;
			if (wire === undefined) {
				return {from: margin, to: right, y: lineY, isWire: false, label: labels[index]!};
			}

			const [from, to] = [endOf(wire.from, networks[index]!.name), endOf(wire.to, networks[index]!.name)];
			return {from, to, y: lineY, isWire: true, label: wire.label, labelAt: {x: from + labelGap.above, y: firstLabelY(lineY, wire.isBelow, wire.label.length)}};
		}),
		trunks: networks.flatMap(({name, vlans = []}) => (vlans.length === 0 ? [] : [{x: margin, from: rowY[rowOf(name)]!, to: Math.max(...vlans.map(({network}) => rowY[rowOf(network)]!))}])),
		machines: placed.map(({machine, nics, band}, index) => ({
			machine, x: xOf(index), y: boxY[band]!,
			links: nics.map(({row, label}, nic) => ({x: xOf(index) + offsets[index]![nic]!, end: rowY[row]!, isBelow: band > row, label})),
		})),
	};
}

/** The y of the first of so many lines above a line, or below it. */
export function firstLabelY(y: number, isBelow: boolean, lines: number): number {
	return isBelow ? y + labelGap.below : y - labelGap.above - (lines - 1) * lineHeight;
}
