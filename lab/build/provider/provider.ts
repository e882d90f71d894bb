/** What delivers a component: a local build, a release download, `go build`, a Debian package. */
import type {ComponentDeclaration} from '../../spec/component.ts';
import type {StageWork} from '../../store/store.ts';

/** What a provider works on. */
export interface Delivery {
	readonly component: ComponentDeclaration;
	/** The overlay's folder, with its go.mod and go.sum. */
	readonly folder: string;
	/** Programs go to `work.out`, each by its name. */
	readonly work: StageWork;
}

/** What a provider answers: it has delivered, and from where; or it does not have the component, and why. */
export type Answer = {readonly delivered: true; readonly origin: string} | {readonly delivered: false; readonly reason: string};

/**
 * One way to come by a component. A provider that fails throws; one that does not have it says so. Either way the next is
 * tried, and the reason is told.
 */
export interface Provider {
	readonly name: string;
	deliver(delivery: Delivery): Promise<Answer>;
}

/** It does not have the component. */
export function lacks(reason: string): Answer {
	return {delivered: false, reason};
}
