/** Requests that start in a pod: the pod's own server makes them (`/dial`), and its node asks it to. */
import {claim, urlHost, type Family, type StepContext} from 'vmlab';
import {addressIn} from './address.ts';
import {serverPort, type Pod} from './test-server.ts';

/** A request from a pod to an address or name. */
export interface Dial {
	readonly from: Pod;
	readonly host: string;
	readonly port: number;
	/** What the other side is, for the report. */
	readonly to: string;
	/** The server's path: 'hostname', 'clientip'. Default 'hostname'. */
	readonly request?: string;
	/** Default 'http'. */
	readonly protocol?: 'http' | 'udp';
}

/** A dial and what came of it. */
export interface Dialled extends Dial {
	/** What the other side answered, or undefined with `problem`. */
	readonly answer?: string;
	readonly problem?: string;
}

/** A dial's title in the report. */
export function titleOf({from, to}: Dial): string {
	return `pod ${from.name} on ${from.node} -> ${to}`;
}

/** Seconds. The server gives up a request after 5; what asks it waits a little longer, to be told why. */
const patience = 20;

/**
 * Makes requests from pods, those of one node at once. Each pod is asked from its own node, so that whatever keeps machines
 * apart hits the requests themselves, not the asking.
 */
export async function dialAll({node}: StepContext, family: Family, dials: readonly Dial[]): Promise<Dialled[]> {
	const nodes = [...new Set(dials.map(({from}) => from.node))];
	const results = await Promise.all(nodes.map(async (name) => {
		const own = dials.filter(({from}) => from.node === name);
		const urls = own.map(({from, host, port, request = 'hostname', protocol = 'http'}) => {
			const query = new URLSearchParams({host, port: String(port), request, protocol, tries: '1'});
			return `http://${urlHost(addressIn(family, from.addresses, from.name))}:${serverPort}/dial?${query.toString()}`;
		});
		const {stdout} = await node(name).$`index=0; for url in ${urls}; do (echo "$index $(curl -sS --globoff --max-time ${patience} "$url" 2>&1)") & index=$((index + 1)); done; wait`;
		const answers = new Map(stdout.split('\n').filter((line) => line !== '').map((line) => [Number(line.split(' ', 1)[0]), line.slice(line.indexOf(' ') + 1)]));
		return own.map((dial, index): Dialled => ({...dial, ...readAnswer(answers.get(index) ?? 'no answer')}));
	}));
	return results.flat();
}

/** What `/dial` says: JSON with `responses` or `errors`; anything else is curl's complaint. */
function readAnswer(text: string): {answer: string} | {problem: string} {
	let said: {responses?: string[]; errors?: string[]};
	try {
		said = JSON.parse(text) as typeof said;
	} catch {
		return {problem: text};
	}

	const answer = said.responses?.[0];
	return answer === undefined ? {problem: said.errors?.join('; ') ?? 'an empty answer'} : {answer};
}

/** Claims that all dials were answered, and by whom they should: `expected` says so for each, any answer without it. */
export function claimAnswered(what: string, dialled: readonly Dialled[], expected?: (dial: Dialled) => readonly string[]): void {
	const problems = dialled.flatMap((dial) => {
		if (dial.answer === undefined) {
			return [`${titleOf(dial)}: ${dial.problem}`];
		}

		const wanted = expected?.(dial);
		return wanted === undefined || wanted.includes(dial.answer) ? [] : [`${titleOf(dial)}: ${dial.answer} answered instead of ${wanted.join(' or ')}`];
	});
	claim(problems.length === 0, `${problems.length} of ${dialled.length} ${what} failed: ${problems[0]}`, problems.slice(1));
}
