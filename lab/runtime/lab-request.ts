/** A lab that is wanted, whoever is to own it. */
import type {EventSink} from '../event/event.ts';
import type {Plan} from '../plan/plan.ts';
import type {MadeStage} from '../store/store.ts';

/** The time in a fork. */
export type ForkClock = 'host' | {readonly ahead: number};

/** What a lab is made from, and who is told of it. */
export interface LabRequest {
	/** Of the lab: see `checkLabName`. */
	readonly name: string;
	/** The scenario that the lab is for. */
	readonly scenario?: string | undefined;
	readonly plan: Plan;
	/** All stages of the plan, by name. With the one of the ready lab, the machines are forks of that one's, and go on from where those were. */
	readonly made: ReadonlyMap<string, MadeStage>;
	/** Told what happens; by a lab that goes on without us, until it is ready. */
	readonly events: EventSink;
	readonly signal: AbortSignal;
	/**
	 * What time it is in a fork: the host's, or so many milliseconds after the freeze; without it, it is as late as when it was frozen. The
	 * machines then have to become ready anew: what expired meanwhile says so.
	 */
	readonly clock?: ForkClock | undefined;
	/** A folder for the machines' evidence when the boot fails; without it nothing is kept. */
	readonly evidence?: string | undefined;
}
