/** What the runner needs of a running lab; a `Lab` of runtime/ is one. */
import type {LinkChange, LinkSetting} from '../fabric/link-setting.ts';
import type {LinkReport} from '../fabric/link.ts';
import type {Recording} from '../fabric/recording.ts';
import type {NetworkTraffic} from '../fabric/traffic.ts';
import type {Plan} from '../plan/plan.ts';
import type {MachineChange, MachineReport} from '../runtime/machine-change.ts';
import type {MadeStage} from '../store/store.ts';

/** What the runner needs of an ssh connection. */
export interface ScenarioConnection {
	exec(command: string, options?: {input?: string; signal?: AbortSignal}): Promise<{stdout: string; stderr: string; exitCode: number}>;
	/** Resolves when it has ended, by either side. */
	readonly closed?: Promise<void>;
	close(): void | Promise<void>;
}

/** The live lab, as far as a scenario needs it. */
export interface ScenarioLab {
	readonly name: string;
	readonly plan: Pick<Plan, 'topology'>;
	/** The made stages by name: kubectl is a program of the stage 'component kubernetes'. */
	readonly made: ReadonlyMap<string, MadeStage>;
	/** How many times slower than KVM the machines are; at least 1. */
	readonly speed: number;
	/** The path of the private kubeconfig, where the lab has a cluster. */
	readonly kubeconfig?: string | undefined;
	/** Aborts when the lab cannot go on: a machine ended by itself, or somebody took the lab down. The reason is a LabError. */
	readonly over?: AbortSignal;
	/** A connection of one's own to a machine. Rejects with a failure of kind 'machine'. */
	ssh(machine: string, signal?: AbortSignal): Promise<ScenarioConnection>;
	/** What each network has carried since the boot. */
	traffic(): Promise<readonly NetworkTraffic[]>;
	/** All links, with what is set on them and what became of their frames. */
	links(): Promise<readonly LinkReport[]>;
	/** Changes what is set on a link, and gives what was set before. */
	changeLink(change: LinkChange): Promise<LinkSetting>;
	/** All machines, with what is wrong with each on purpose. */
	machineReports(): Promise<readonly MachineReport[]>;
	/** Changes what is wrong with a machine on purpose. */
	changeMachine(change: MachineChange, signal?: AbortSignal): Promise<void>;
	/** Returns when a machine that was reset or powered on is ready; at once where none was. */
	machineReady(machine: string, signal?: AbortSignal): Promise<void>;
	/** The frames that crossed its links since a moment, in milliseconds since 1970, as far as they are recorded. */
	recording(since: number, signal?: AbortSignal): Promise<Recording>;
	/** Collects the machines' evidence into a folder; `span` is that of the frames that are kept, in milliseconds since 1970. */
	collectEvidence(folder: string, signal?: AbortSignal, span?: {readonly since?: number; readonly until?: number}): Promise<unknown>;
}
