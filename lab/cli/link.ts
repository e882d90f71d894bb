/** `vmlab link list|set|clear`: the links of a lab, and what is wrong with them. */
import {type DirectionReport, type LinkReport, showReport} from '../fabric/link.ts';
import {failure} from '../host/failure.ts';
import {changeLink, readLinks} from '../runtime/lab-links.ts';
import {linkDirections, linkName, showImpairment} from '../spec/impairment.ts';
import {showDuration} from '../spec/units.ts';
import {chooseLabAnd} from './lab-choice.ts';
import {wantedChanges} from './link-options.ts';
import {print, say, type Table} from './output.ts';
import {defineVerb} from './verb.ts';

/** A row for each direction, and one for each impairment of it. */
function tableOf(links: readonly LinkReport[]): Table {
	return {
		columns: ['LINK', 'CARRIER', 'DIRECTION', 'FRAMES', 'WAITING', 'DROPPED', 'IMPAIRMENTS'],
		rows: links.flatMap((link) => linkDirections.map((direction) => {
			const {frames, waiting, impairments} = link[direction];
			const carrier = link.flap === undefined ? link.carrier : `${link.carrier}, flaps ${showDuration(link.flap.up)}/${showDuration(link.flap.down)}`;
			return [link.link, carrier, direction, String(frames), String(waiting), shownDrops(link[direction]), impairments.map(showImpairment).join('; ')];
		})),
		none: 'The lab has no links',
	};
}

function shownDrops({dropped}: DirectionReport): string {
	return Object.entries(dropped).map(([reason, count]) => `${reason} ${count}`).join(', ');
}

/** The one link that is meant; its name is not there, or there is no such link. */
function linkOf(links: readonly LinkReport[], machine: string | undefined, network: string | undefined): LinkReport {
	const known = [...new Set(links.map((link) => link.machine))];
	const own = links.filter((link) => link.machine === machine);
	if (machine === undefined) {
		throw failure.usage('Which link is meant?', `Name its machine, and its network where the machine is on several: ${links.map(({link}) => link).join(', ')}.`);
	}

	if (own.length === 0) {
		throw failure.unknownName('machine', machine, known);
	}

	const found = network === undefined && own.length === 1 ? own[0] : own.find((link) => link.network === network);
	if (found === undefined && network === undefined) {
		throw failure.usage(`${machine} is on several networks`, `Name one of ${own.map((link) => link.network).join(', ')}.`);
	}

	if (found === undefined) {
		throw failure.unknownName('link', linkName(machine, network ?? ''), links.map(({link}) => link));
	}

	return found;
}

export const verb = defineVerb({
	options: (command) => command
		.positional('action', {choices: ['list', 'set', 'clear'] as const, demandOption: true, describe: 'What to do'})
		.positional('names', {type: 'string', array: true, default: [] as string[], defaultDescription: 'the only lab, all its links', describe: '[LAB] MACHINE [NETWORK], or [LAB] MACHINE@NETWORK; for `set` one link'})
		.option('from', {type: 'boolean', describe: 'Frames from the machine alone', conflicts: 'to'})
		.option('to', {type: 'boolean', describe: 'Frames to the machine alone'})
		.option('cut', {type: 'boolean', describe: 'Nothing passes'})
		.option('loss', {type: 'string', requiresArg: true, describe: 'What is lost: 5%'})
		.option('burst', {type: 'string', requiresArg: true, describe: 'Losses in bursts: how likely one begins and ends at a frame, and what is lost in it: 1%,25% or 1%,25%,80%'})
		.option('delay', {type: 'string', requiresArg: true, describe: 'How much later frames come: 20ms'})
		.option('jitter', {type: 'string', requiresArg: true, describe: 'By how much the delay varies: 5ms'})
		.option('reorder', {type: 'string', requiresArg: true, describe: 'What goes ahead of what is delayed: 25%'})
		.option('duplicate', {type: 'string', requiresArg: true, describe: 'What comes twice: 1%'})
		.option('corrupt', {type: 'string', requiresArg: true, describe: 'What has a bit turned: 0.1%'})
		.option('rate', {type: 'string', requiresArg: true, describe: 'How much passes in a second: 10Mbit'})
		.option('limit', {type: 'string', requiresArg: true, describe: 'How much may wait: frames, or 256KiB', defaultDescription: '1000 frames'})
		.option('mtu', {type: 'number', requiresArg: true, describe: 'Frames with more bytes than this behind their Ethernet header vanish'})
		.option('seed', {type: 'number', requiresArg: true, describe: 'Another number makes other decisions', defaultDescription: '0'})
		.option('carrier', {choices: ['up', 'down'] as const, requiresArg: true, describe: 'Put the cable in, or take it out'})
		.option('flap', {type: 'string', requiresArg: true, describe: 'The carrier comes and goes: how long it is there and how long not: 5s,1s', conflicts: 'carrier'})
		.option('family', {choices: ['ipv4', 'ipv6'] as const, requiresArg: true, describe: 'Frames of this family alone'})
		.option('protocol', {choices: ['arp', 'icmp', 'icmpv6', 'tcp', 'udp', 'sctp'] as const, requiresArg: true, describe: 'Frames of this protocol alone'})
		.option('port', {type: 'number', requiresArg: true, describe: 'Frames with this port on either side alone'})
		.option('source-port', {type: 'number', requiresArg: true, describe: 'Frames from this port alone'})
		.option('destination-port', {type: 'number', requiresArg: true, describe: 'Frames to this port alone'})
		.option('address', {type: 'string', requiresArg: true, describe: 'Frames with this IP address on either side alone'})
		.option('source', {type: 'string', requiresArg: true, describe: 'Frames from this IP address alone'})
		.option('destination', {type: 'string', requiresArg: true, describe: 'Frames to this IP address alone'})
		.option('mac', {type: 'string', requiresArg: true, describe: 'Frames with this MAC address on either side alone'})
		.option('source-mac', {type: 'string', requiresArg: true, describe: 'Frames from this MAC address alone'})
		.option('destination-mac', {type: 'string', requiresArg: true, describe: 'Frames to this MAC address alone'})
		.option('vlan', {type: 'number', requiresArg: true, describe: 'Frames with the tag of this VLAN alone, on a link to a trunk'}),
	async run(args, {signal, output, outputChosen}) {
		const {action, names} = args;
		const changes = wantedChanges(args);
		if (action === 'set' && changes.length === 0) {
			throw failure.usage('Nothing is to be set', 'Say what is wrong with the link: --loss, --delay, --cut, --carrier ...; see `vmlab link --help`.');
		}

		if (action !== 'set' && changes.length > 0) {
			throw failure.usage(`\`vmlab link ${action}\` sets nothing`, 'Use `vmlab link set` with these options.');
		}

		if (action === 'list' && (args.from === true || args.to === true)) {
			throw failure.usage('`vmlab link list` shows both directions', 'Leave --from and --to out.');
		}

		const {lab: {name}, rest} = await chooseLabAnd(names);
		const [machine, network, ...more] = rest.flatMap((word, index) => (index === 0 ? word.split('@', 2) : word));
		if (more.length > 0 || (action === 'set' && machine === undefined)) {
			throw failure.usage(more.length > 0 ? `\`${more.join(' ')}\` is too much to name a link` : '`vmlab link set` needs a machine', `Its form: \`vmlab link ${action} [LAB] MACHINE [NETWORK]\`, or \`MACHINE@NETWORK\`.`);
		}

		const links = await readLinks(name, signal);
		const chosen = machine === undefined ? links : network === undefined && action !== 'set' ? links.filter((link) => link.machine === chooseMachine(links, machine)) : [linkOf(links, machine, network)];
		if (action === 'list') {
			await print(output, chosen, tableOf);
			return;
		}

		const direction = args.from === true ? 'from' : args.to === true ? 'to' : undefined;
		for (const {link} of chosen) {
			for (const change of action === 'clear' ? [{kind: 'clear', direction} as const] : changes) {
				await changeLink(name, {...change, link}, signal);
			}
		}

		const changed = chosen.map(({link}) => link);
		const now = (await readLinks(name, signal)).filter(({link}) => changed.includes(link));
		if (outputChosen) {
			await print(output, now, tableOf);
			return;
		}

		for (const link of now) {
			say(`${link.link}: ${summaryOf(link)}`);
		}
	},
});

/** Refuses a machine that has no link. */
function chooseMachine(links: readonly LinkReport[], machine: string): string {
	if (!links.some((link) => link.machine === machine)) {
		throw failure.unknownName('machine', machine, [...new Set(links.map((link) => link.machine))]);
	}

	return machine;
}

function summaryOf(link: LinkReport): string {
	return showReport(link).join('; ') || 'nothing is wrong with it';
}
