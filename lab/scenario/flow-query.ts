/** What steps ask about flows. */
import {describeFlow, findFlows, flowKeys, type FlowQuery, selectFlows} from '../fabric/flow.ts';
import {failure} from '../host/failure.ts';
import {checkMatch} from '../spec/frame-match.ts';
import type {FabricHandle} from './scenario.ts';
import type {ScenarioLab} from './scenario-lab.ts';

export {describeFlow, passesThrough} from '../fabric/flow.ts';

/** Flows that are shown of those that there are. */
const mostShown = 10;

/** What was asked for, in words: 'tcp with port 80'. */
function words(query: FlowQuery): string {
	const {protocol, family, ...rest} = query;
	const parts = Object.entries(rest).filter(([, value]) => value !== undefined).map(([name, value]) => `${name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)} ${value}`);
	return [protocol ?? 'of any protocol', ...(family === undefined ? [] : [`over ${family}`]), ...(parts.length === 0 ? [] : [`with ${parts.join(' and ')}`])].join(' ');
}

/** Refuses what no flow can be asked for: it would be ignored, and the answer another one than is believed. Throws `unknown-...` and what `checkMatch` throws. */
function checkQuery(query: FlowQuery): void {
	for (const key of Object.keys(query)) {
		if (!(flowKeys as readonly string[]).includes(key)) {
			throw failure.unknownName('key of a question for flows', key, flowKeys);
		}
	}

	if ((query.protocol as string | undefined) === 'arp') {
		throw failure.usage('Messages of ARP are no flow', 'How many frames of ARP a network carried is in `fabric.traffic`.');
	}

	checkMatch(query);
}

/** `flows` and `flow` for the steps of a scenario. `began` gives the moment that is looked back to where none is named, in milliseconds since 1970. */
export function openFlows({recording}: Pick<ScenarioLab, 'recording'>, began: () => number, signal: AbortSignal): Pick<FabricHandle, 'flows' | 'flow'> {
	const all = async ({since = began(), partial = false}: {since?: number; partial?: boolean} = {}) => {
		const {frames, links} = await recording(since, signal);
		const cut = links.filter((link) => link.overwritten > 0 && link.since > since);
		if (cut.length > 0 && !partial) {
			throw failure.recordingCut(new Date(since), cut.map(({name, since: from, overwritten}) => `${name}: only from ${new Date(from).toISOString()} on; ${overwritten} frames of before were overwritten`));
		}

		return findFlows(frames);
	};

	return {
		async flows(query = {}, options) {
			checkQuery(query);
			return selectFlows(await all(options), query);
		},
		async flow(query = {}, options) {
			checkQuery(query);
			const there = await all(options);
			const found = selectFlows(there, query);
			const [flow] = found;
			if (flow === undefined || found.length > 1) {
				const shown = flow === undefined ? there : found;
				const lines = shown.slice(0, mostShown).flatMap((each) => describeFlow(each));
				const more = shown.length > mostShown ? [`and ${shown.length - mostShown} more`] : [];
				throw failure.flowNotClear(words(query), found.length, [...(flow === undefined ? [shown.length === 0 ? 'No flow crossed them at all.' : 'What crossed them:'] : []), ...lines, ...more]);
			}

			return flow;
		},
	};
}
