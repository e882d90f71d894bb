/** The networks and links of a lab, as steps see and impair them. */
import type {LinkChange} from '../fabric/link-setting.ts';
import {failure} from '../host/failure.ts';
import {parseFlap, parseImpairment} from '../spec/impairment.ts';
import {problemsOf, type Shape} from '../spec/schema.ts';
import {callPlace} from './place.ts';
import type {FabricHandle} from './scenario.ts';
import type {ScenarioLab} from './scenario-lab.ts';
import type {StepScope} from './step-scope.ts';

/** What of the fabric's handle is about links and networks. */
export type LinkHandle = Omit<FabricHandle, 'flows' | 'flow'>;

/** Refuses a value of another shape, as a declaration is. */
function check(shape: Shape, value: unknown, what: string): void {
	const problems = problemsOf(shape, value);
	if (problems.length > 0) {
		throw failure.badDeclaration(what, problems.map(({text}) => text), callPlace());
	}
}

/** The fabric of a lab. What is set on its links holds as long as the scope says. */
export function openFabric(lab: Pick<ScenarioLab, 'traffic' | 'links' | 'changeLink'>, scope: StepScope): LinkHandle {
	const change = async (wanted: LinkChange): Promise<void> => scope.change(`link ${wanted.link}`, async (remember) => {
		const setting = await lab.changeLink(wanted);
		remember(async () => {
			await lab.changeLink({kind: 'put', link: wanted.link, setting});
		});
	});

	return {
		async traffic(network) {
			const all = await lab.traffic();
			const found = all.find((candidate) => candidate.network === network);
			if (found === undefined) {
				throw failure.unknownNetwork(network, all.map((candidate) => candidate.network));
			}

			return found;
		},
		links: async () => lab.links(),
		async link(link) {
			const all = await lab.links();
			const found = all.find((candidate) => candidate.link === link);
			if (found === undefined) {
				throw failure.unknownName('link', link, all.map((candidate) => candidate.link), callPlace());
			}

			return found;
		},
		async impair(link, ...impairments) {
			for (const impairment of impairments) {
				check('impairment', impairment, `an impairment of ${link}`);
			}

			await change({kind: 'impair', link, impairments: impairments.flatMap(parseImpairment)});
		},
		async cut(link, which = {}) {
			check('impairment', {...which, cut: true}, `a cut of ${link}`);
			await change({kind: 'impair', link, impairments: parseImpairment({...which, cut: true})});
		},
		async carrier(link, state) {
			if (typeof state === 'object') {
				check('flap', state, `a flapping carrier of ${link}`);
			} else if (state !== 'up' && state !== 'down') {
				throw failure.badValue('state of a carrier', String(state), 'up, down, or {up: \'5s\', down: \'1s\'}', callPlace());
			}

			await change({kind: 'carrier', link, ...(typeof state === 'object' ? {carrier: 'up', flap: parseFlap(state)} : {carrier: state})});
		},
		async clear(link, direction) {
			if (direction !== undefined) {
				check('linkDirection', direction, `the direction to clear of ${link}`);
			}

			await change({kind: 'clear', link, direction});
		},
	};
}
