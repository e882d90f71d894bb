/** Events as JSON lines (https://jsonlines.org): one event a line, in the order in which they happened. */
import type {TimedEvent} from '../event/event.ts';

/** An event as its line, with the newline. */
export function jsonLine(event: TimedEvent): string {
	return `${JSON.stringify(event)}\n`;
}

/** The events of a file. A last line without its newline was cut off in the middle, and is left out. */
export function parseJsonLines(text: string): TimedEvent[] {
	return text.split('\n').slice(0, -1).filter((line) => line.trim() !== '').map((line) => JSON.parse(line) as TimedEvent);
}
