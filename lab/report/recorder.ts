/** Keeps all events with their moments, for the reports that are written at the end. */
import type {EventSink, TimedEvent} from '../event/event.ts';

/** A sink and the events that it got. `now` gives milliseconds since 1970. */
export function recordEvents(now: () => number = Date.now): {readonly sink: EventSink; readonly events: readonly TimedEvent[]} {
	const events: TimedEvent[] = [];
	return {
		events,
		sink(event) {
			events.push({...event, at: now()});
		},
	};
}
