/** A lab that is wanted, whoever is to own it. */
import type {EventSink} from '../event/event.ts';
import type {Plan} from '../plan/plan.ts';
import type {MadeStage} from '../store/store.ts';

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
	/** A folder for the machines' evidence when the boot fails; without it nothing is kept. */
	readonly evidence?: string | undefined;
}
