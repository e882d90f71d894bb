/** Events as JSON lines (https://jsonlines.org): one event a line, in the order in which they happened. */
import type {TimedEvent} from '../event/event.ts';

/** An event as its line, with the newline. */
export function jsonLine(event: TimedEvent): string {
	return `${JSON.stringify(event)}\n`;
}
