/** What the options of `vmlab link set` ask for. */
import type {LinkChange} from '../fabric/link-setting.ts';
import {failure} from '../host/failure.ts';
import {type FrameMatch, matchKeys} from '../spec/frame-match.ts';
import {type FlapDeclaration, type ImpairmentDeclaration, parseFlap, parseImpairment} from '../spec/impairment.ts';
import {problemsOf} from '../spec/schema.ts';

/** A change of a link that is still to be named. */
export type UnnamedChange = LinkChange extends infer Change ? Change extends LinkChange ? Omit<Change, 'link'> : never : never;

/** What the options say of the frames that are meant: words that nobody has looked at. */
type MatchOptions = {readonly [Key in keyof FrameMatch]?: (FrameMatch[Key] extends number | undefined ? number : string) | undefined};

/** What the options say of a link; numbers may be none. */
export interface LinkOptions extends MatchOptions {
	readonly from?: boolean | undefined;
	readonly to?: boolean | undefined;
	readonly cut?: boolean | undefined;
	readonly loss?: string | undefined;
	readonly burst?: string | undefined;
	readonly delay?: string | undefined;
	readonly jitter?: string | undefined;
	readonly reorder?: string | undefined;
	readonly duplicate?: string | undefined;
	readonly corrupt?: string | undefined;
	readonly rate?: string | undefined;
	readonly limit?: string | undefined;
	readonly mtu?: number | undefined;
	readonly seed?: number | undefined;
	readonly carrier?: 'up' | 'down' | undefined;
	readonly flap?: string | undefined;
}

/** Without what was not given. */
function given<Values extends object>(values: Values): Partial<Values> {
	return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<Values>;
}

/** The changes that options ask for. Throws `usage` for what cannot be. */
export function wantedChanges(options: LinkOptions): UnnamedChange[] {
	const {from, to, cut, burst, limit, carrier, flap, port, sourcePort, destinationPort, vlan} = options;
	const {loss, delay, jitter, reorder, duplicate, corrupt, rate, mtu, seed} = options;
	const match = given(Object.fromEntries(matchKeys.map((key) => [key, options[key]])));
	const [enter, leave, inBurst] = burst === undefined ? [] : parts('burst', burst, 2, 3, 'how likely a burst begins and ends at a frame, and what is lost in it: 1%,25% or 1%,25%,80%');
	const declared = given({
		cut: cut === true ? true : undefined, loss, burst: burst === undefined ? undefined : given({enter, leave, loss: inBurst}),
		delay, jitter, reorder, duplicate, corrupt, rate, mtu, seed,
		limit: limit === undefined ? undefined : /^\d+$/.test(limit) ? Number(limit) : limit,
	});
	const direction = from === true ? 'from' : to === true ? 'to' : undefined;
	const numbers = {mtu, seed, port, 'source-port': sourcePort, 'destination-port': destinationPort, vlan};
	const nonsense = Object.entries(numbers).find(([, value]) => Number.isNaN(value));
	if (nonsense !== undefined) {
		throw failure.usage(`--${nonsense[0]} is a number`, 'See `vmlab link --help`.');
	}

	if (direction !== undefined && (carrier !== undefined || flap !== undefined)) {
		throw failure.usage(`A carrier is there for both directions, and --${direction} names one`, 'Use --cut to let nothing pass in one direction.');
	}

	const hasMatch = Object.keys(match).length > 0;
	if (hasMatch && Object.keys(declared).length === 0) {
		throw failure.usage('Frames are named, and nothing that is to be wrong with them', 'Say what: --cut, --loss, --delay ...; see `vmlab link --help`.');
	}

	const changes: UnnamedChange[] = [];
	if (carrier !== undefined) {
		changes.push({kind: 'carrier', carrier});
	} else if (flap !== undefined) {
		const [up, down] = parts('flap', flap, 2, 2, 'how long the carrier is there, and how long not: 5s,1s');
		changes.push({kind: 'carrier', carrier: 'up', flap: parseFlap({up, down} as FlapDeclaration)});
	}

	if (Object.keys(declared).length > 0) {
		const whole = {...declared, ...(direction !== undefined && {direction}), ...(hasMatch && {match})};
		const problems = problemsOf('impairment', whole);
		if (problems.length > 0) {
			throw failure.usage(problems.map(({text}) => withOptions(text)).join('; '), 'See `vmlab link --help`.');
		}

		changes.push({kind: 'impair', impairments: parseImpairment(whole as ImpairmentDeclaration)});
	}

	return changes;
}

/** A key of an impairment's declaration where a sentence names it. */
const declaredKey = new RegExp(`\`(?:(?:match|burst)\\.)?(jitter|delay|rate|limit|loss|enter|leave|reorder|duplicate|corrupt|mtu|cut|seed|burst|${matchKeys.join('|')})\``, 'g');

/** The option that declares a value, for what is said of a declaration's keys: `match.sourcePort` is --source-port. */
function withOptions(problem: string): string {
	return problem.replaceAll(declaredKey, (_, key: string) =>
		(key === 'enter' || key === 'leave' ? `--burst (${key})` : `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`));
}

/** Splits `A,B` or `A,B,C`. Throws `usage`. */
function parts(option: string, value: string, least: number, most: number, form: string): string[] {
	const found = value.split(',');
	if (found.length < least || found.length > most) {
		throw failure.usage(`--${option} is ${form}, not \`${value}\``);
	}

	return found;
}
