/** The networks and links of a lab, as steps see and impair them. */
import {AsyncLocalStorage} from 'node:async_hooks';
import type {LinkChange, LinkSetting} from '../fabric/link-setting.ts';
import {failure} from '../host/failure.ts';
import {parseFlap, parseImpairment} from '../spec/impairment.ts';
import {problemsOf, type Shape} from '../spec/schema.ts';
import {callPlace} from './place.ts';
import type {FabricHandle} from './scenario.ts';
import type {ScenarioLab} from './scenario-lab.ts';

/** What links were before something first changed them. */
type Before = Map<string, LinkSetting>;

/** The fabric of a lab, and how long what is set on its links holds. */
export interface OpenFabric {
	readonly handle: Omit<FabricHandle, 'flows' | 'flow'>;
	/** Runs a step; what it sets on links is put back when it ends, however it ends. Throws what the step throws; else what putting back does. */
	within<Value>(step: () => Promise<Value>): Promise<Value>;
	/** Puts back all that was set, and lets nothing be set any more. */
	close(): Promise<void>;
}

/** Refuses a value of another shape, as a declaration is. */
function check(shape: Shape, value: unknown, what: string): void {
	const problems = problemsOf(shape, value);
	if (problems.length > 0) {
		throw failure.badDeclaration(what, problems.map(({text}) => text), callPlace());
	}
}

/** The fabric of a lab. When `signal` aborts nothing is set any more. */
export function openFabric(lab: Pick<ScenarioLab, 'traffic' | 'links' | 'changeLink'>, signal: AbortSignal): OpenFabric {
	const steps = new AsyncLocalStorage<Before>();
	const outside: Before = new Map();
	/** Of `outside`, and of each step that runs, the innermost last. */
	const open: Before[] = [outside];
	let closed = false;

	const change = async (wanted: LinkChange): Promise<void> => {
		signal.throwIfAborted();
		if (closed) {
			throw failure.interrupted('the end of the scenario');
		}

		const before = steps.getStore() ?? outside;
		const setting = await lab.changeLink(wanted);
		if (!before.has(wanted.link)) {
			before.set(wanted.link, setting);
		}
	};

	const putBack = async (before: Before): Promise<void> => {
		for (const [link, setting] of before) {
			await lab.changeLink({kind: 'put', link, setting});
			before.delete(link);
		}
	};

	return {
		handle: {
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
		},
		async within(step) {
			const before: Before = new Map();
			open.push(before);
			try {
				return await steps.run(before, async () => step()).then(
					async (value) => {
						await putBack(before);
						return value;
					},
					async (error: unknown) => {
						// Why the step failed counts.
						await putBack(before).catch(() => {});
						throw error;
					},
				);
			} finally {
				open.splice(open.indexOf(before), 1);
			}
		},
		async close() {
			closed = true;
			for (const before of open.toReversed()) {
				await putBack(before);
			}
		},
	};
}
