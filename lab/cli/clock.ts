/** `--clock`: what time it is in a fork. */
import {failure} from '../host/failure.ts';
import type {ForkClock} from '../runtime/lab-request.ts';
import {milliseconds} from '../spec/units.ts';

/** How the option is described. */
export const clockOption = {
	type: 'string', requiresArg: true, describe: 'What time it is in a fork: frozen (as when it was frozen), host, or a jump ahead such as 1h', default: 'frozen',
} as const;

/** The option's value; a lab that is booted (`cold`) has no other time than this computer's. Throws `usage`. */
export function parseClock(text: string, cold = false): ForkClock | undefined {
	if (cold && text !== 'frozen') {
		throw failure.usage('--clock is about forks, and --cold boots', 'Leave one of them out.');
	}

	if (text === 'frozen' || text === 'host') {
		return text === 'host' ? text : undefined;
	}

	try {
		return {ahead: milliseconds(text)};
	} catch {
		throw failure.usage(`--clock is frozen, host, or a duration such as 1h, not \`${text}\``);
	}
}
