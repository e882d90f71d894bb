/** What is declared of links, and which links there are. */
import {suggest} from '../host/suggestion.ts';
import type {LabDeclaration} from '../spec/lab.ts';
import {linkName, parseImpairment, sameFrames} from '../spec/impairment.ts';
import type {LabMachine} from '../spec/topology.ts';
import {nicsOf} from './networks.ts';
import type {ImpairedLink} from './plan.ts';

/** The names of the links of these machines, in the order of the machines; a VLAN of a NIC has none of its own: 'node-1@cluster'. */
export function linkNames(machines: readonly LabMachine[]): string[] {
	return machines.flatMap((machine) => nicsOf(machine).map(({network}) => linkName(machine.name, network)));
}

/** The impaired links of a lab whose shape was checked, with all that is wrong of them as sentences. */
export function impairedLinks({links = {}}: Pick<LabDeclaration, 'links'>, machines: readonly LabMachine[]): {links: ImpairedLink[]; problems: string[]} {
	const known = linkNames(machines);
	const problems: string[] = [];
	const impaired = Object.entries(links).flatMap(([link, declared]): ImpairedLink[] => {
		if (!known.includes(link)) {
			const meant = suggest(link, known);
			problems.push(`links: there is no link \`${link}\`; ${meant === undefined ? `known are ${known.join(', ')}` : `did you mean \`${meant}\`?`}`);
			return [];
		}

		const impairments = declared.flatMap(parseImpairment);
		for (const [index, impairment] of impairments.entries()) {
			if (impairments.findIndex((other) => sameFrames(other, impairment)) !== index) {
				problems.push(`links: \`${link}\` has two impairments of the same frames ${impairment.direction} the machine; put them into one, or give one of them another \`match\``);
			}
		}

		return [{link, impairments}];
	});
	return {links: impaired.filter(({impairments}) => impairments.length > 0), problems: [...new Set(problems)]};
}
