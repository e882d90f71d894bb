/** What whoever starts a supervisor leaves for it. */
import type {ProcessIdentity} from '../host/process.ts';
import type {ForkClock} from './lab-request.ts';
import type {Plan} from '../plan/plan.ts';
import type {MadeStage} from '../store/store.ts';

/** What the supervisor is to boot: a file in the lab's folder, removed when it is read. */
export interface SupervisorRequest {
	readonly plan: Plan;
	/** Stage name -> made stage. Roles with the same content have one made stage under several names. */
	readonly made: ReadonlyArray<readonly [name: string, made: MadeStage]>;
	readonly clock?: ForkClock | undefined;
	/** A folder for evidence when the boot fails. */
	readonly evidence?: string | undefined;
	/** Who waits for the lab to be ready: when it ends before that, the supervisor ends too. */
	readonly starter: ProcessIdentity;
}

/** The request's file in the lab's folder. */
export const requestFile = 'request.json';
