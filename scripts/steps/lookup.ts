/** Names and requests: what callers get for them. */
import type {CommandResult} from 'vmlab';
import type {Caller} from './caller.ts';

/** Seconds that a request may take. */
const patience = 20;

/** What a program gave, in one line. */
export function told({stdout, stderr, exitCode}: CommandResult): string {
	return `exit code ${exitCode}, ${JSON.stringify((stdout.trim() || stderr.trim()).slice(-300))}`;
}

/** The addresses that a caller's DNS has for a name, as one text; what dig(1) says where it got no answer. */
export async function addressesOf(caller: Caller, type: 'A' | 'AAAA', name: string): Promise<string> {
	const result = await caller.run('dig', '+short', '+tries=2', '+time=5', type, name);
	return result.exitCode === 0 ? result.stdout.split('\n').sort().join(' ') : told(result);
}

/** What a server says to a caller at a URL. */
export async function request(caller: Caller, url: string, seconds = patience): Promise<CommandResult> {
	return caller.run('curl', '-sS', '--fail', '--globoff', '--max-time', String(seconds), url);
}

/** A problem where another one answers than should, or none. */
export async function answeredBy(caller: Caller, url: string, wanted: string): Promise<string | undefined> {
	const result = await request(caller, url);
	return result.exitCode === 0 && result.stdout === wanted ? undefined : `${url} is to be answered by \`${wanted}\`, and gave ${told(result)}`;
}

/** What curl(1) ends with where a name has no address, where a connection is refused or has no way, and where no answer comes. */
const silences = {noAddress: 6, refused: 7, timeout: 28} as const;

/** A problem where somebody answers, or curl(1) fails for another reason than that nobody does, or that the name has no address, but where it is to have one. */
export async function notAnswered(caller: Caller, url: string, {hasAddress = false} = {}): Promise<string | undefined> {
	const result = await request(caller, url, 8);
	const {noAddress, ...others} = silences;
	return [...Object.values<number>(others), ...(hasAddress ? [] : [noAddress])].includes(result.exitCode) ? undefined : `${url} is to be answered by nobody, and gave ${told(result)}`;
}
