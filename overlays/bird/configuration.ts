/** bird.conf of a router, from the lab that it is part of. */
import type {Family, LabMachine, LabTopology} from 'vmlab';

/** What the overlay's options say. */
export interface RoutingOptions {
	/** Seconds. */
	readonly hello: number;
	/** Seconds. */
	readonly dead: number;
	readonly bfd: boolean;
	/** 'router-1@north 20, router-2@north 20' */
	readonly costs: string;
}

/** What a link costs that no option names: bird's own default. */
const defaultCost = 10;

/** Each family's protocol, by the names that birdc knows them by. */
const protocols = {ipv4: {name: 'ospf4', version: 'v2'}, ipv6: {name: 'ospf6', version: 'v3'}} as const;

const families: readonly Family[] = ['ipv4', 'ipv6'];

/** The networks on which a machine has an address of a family. */
function networksOf({links}: LabMachine, family: Family): string[] {
	return links.filter(({addresses}) => addresses.some((address) => address.family === family)).map(({network}) => network);
}

/** The families in which a machine has addresses. */
function familiesOf(machine: LabMachine): Family[] {
	return families.filter((family) => networksOf(machine, family).length > 0);
}

/** A router's id: its place among the machines of the lab, since it must be there in labs without IPv4 too. */
export function routerId({machines}: LabTopology, {name}: LabMachine): string {
	const place = machines.findIndex((machine) => machine.name === name) + 1;
	return `0.0.${place >> 8}.${place & 0xff}`;
}

/** The machines that run bird. */
function routersOf({machines}: LabTopology): LabMachine[] {
	return machines.filter(({role}) => role === 'router');
}

/** The other routers on a network in a family. */
function peersOn(network: string, family: Family, machine: LabMachine, lab: LabTopology): LabMachine[] {
	return routersOf(lab).filter((router) => router.name !== machine.name && networksOf(router, family).includes(network));
}

/** What the option `costs` says, by link. Throws Error for a link that is none of a router's. */
function readCosts(costs: string, lab: LabTopology): Map<string, number> {
	const known = routersOf(lab).flatMap(({name, links}) => links.filter(({addresses}) => addresses.length > 0).map(({network}) => `${name}@${network}`));
	return new Map(costs.split(',').map((text) => text.trim()).filter((text) => text !== '').map((text) => {
		const [link = '', cost] = text.split(/ +/);
		if (!known.includes(link)) {
			throw new Error(`the option \`bird.costs\` has \`${text}\`, but ${link} is no link of a router; known are ${known.join(', ')}`);
		}

		return [link, Number(cost)];
	}));
}

/** The block of one family's OSPF. Where a network has exactly two routers they need no designated one, and no wait for its election. */
function ospf(family: Family, machine: LabMachine, lab: LabTopology, {hello, dead, bfd, costs}: RoutingOptions): string[] {
	const {name, version} = protocols[family];
	const declared = readCosts(costs, lab);
	const own = networksOf(machine, family);
	return [
		`protocol ospf ${version} ${name} {`,
		`\t${family} { import all; export none; };`,
		'\tarea 0 {',
		...machine.links.filter(({network}) => own.includes(network)).map(({network, device}) => {
			const peers = peersOn(network, family, machine, lab).length;
			const cost = declared.get(`${machine.name}@${network}`) ?? defaultCost;
			return peers === 0
				? `\t\tinterface "${device}" { stub yes; cost ${cost}; };`
				: `\t\tinterface "${device}" { type ${peers === 1 ? 'ptp' : 'broadcast'}; hello ${hello}; dead ${dead}; cost ${cost};${bfd ? ' bfd yes;' : ''} };`;
		}),
		'\t};',
		'}',
	];
}

/**
 * /etc/bird/bird.conf.
 *
 * @throws Error where the options contradict each other or the lab
 */
export function configuration(machine: LabMachine, lab: LabTopology, options: RoutingOptions): string {
	if (options.dead <= options.hello) {
		throw new Error(`the option \`bird.dead\` must be more than \`bird.hello\`, which is ${options.hello}, not ${options.dead}`);
	}

	const own = familiesOf(machine);
	const devices = machine.links.filter(({addresses}) => addresses.length > 0).map(({device}) => `"${device}"`).join(', ');
	return [
		'log stderr all;',
		`router id ${routerId(lab, machine)};`,
		'',
		'protocol device {',
		'}',
		'',
		// Else OSPF's own routes to them would go into the kernel, which has these anyway.
		'protocol direct {',
		...own.map((family) => `\t${family};`),
		`\tinterface ${devices};`,
		'}',
		'',
		...own.flatMap((family) => [
			'protocol kernel {',
			`\t${family} { import none; export where source != RTS_DEVICE; };`,
			'}',
			'',
		]),
		...(options.bfd ? ['protocol bfd {', `\tinterface ${devices} { interval 300 ms; multiplier 4; };`, '}', ''] : []),
		...own.flatMap((family) => [...ospf(family, machine, lab, options), '']),
	].join('\n');
}

/** The networks of a family that a router can get to, over itself and other routers. */
function reachable(machine: LabMachine, family: Family, lab: LabTopology): Set<string> {
	const found = new Set(networksOf(machine, family));
	// A Set is walked through in the order in which it grows.
	for (const network of found) {
		for (const peer of peersOn(network, family, machine, lab)) {
			for (const next of networksOf(peer, family)) {
				found.add(next);
			}
		}
	}

	return found;
}

/** /etc/vmlab/bird-ready: what must be there for the router to be ready, a line each: `neighbour PROTOCOL ROUTER-ID DEVICE` or `route FAMILY SUBNET`. */
export function expectations(machine: LabMachine, lab: LabTopology): string {
	return familiesOf(machine).flatMap((family) => {
		const own = networksOf(machine, family);
		const found = reachable(machine, family, lab);
		return [
			...machine.links.filter(({network}) => own.includes(network)).flatMap(({network, device}) => {
				const peers = peersOn(network, family, machine, lab);
				// On a network of more than two only the designated router and its backup have everybody as a neighbour; which these are is decided there.
				return peers.length === 1 ? peers.map((peer) => `neighbour ${protocols[family].name} ${routerId(lab, peer)} ${device}`) : [];
			}),
			...lab.networks.flatMap(({name, subnets}) => (found.has(name) && !own.includes(name) ? [`route -${family === 'ipv4' ? 4 : 6} ${subnets[family]}`] : [])),
		];
	}).map((line) => `${line}\n`).join('');
}
