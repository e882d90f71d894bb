/** A lab for as long as it is used. */
import type {EventSink} from '../event/event.ts';
import {asLabError} from '../host/error.ts';
import type {Lab} from './lab.ts';

/**
 * Gives a lab to `use` and takes it down afterwards, whatever happens.
 *
 * @throws what `use` threw; then a failure to take the lab down is told as an event. Else that failure
 */
export async function withLab<Used extends Pick<Lab, 'name' | 'down'>, Value>(lab: Used, events: EventSink, use: (lab: Used) => Promise<Value>): Promise<Value> {
	let value: Value;
	try {
		value = await use(lab);
	} catch (error) {
		await lab.down().catch((failed: unknown) => {
			events({type: 'note', level: 'warning', text: `The lab ${lab.name} could not be taken down: ${asLabError(failed).message}`});
		});
		throw error;
	}

	await lab.down();
	return value;
}
