/** Scenarios: a lab and the steps that run against it. The steps are the lines of the report. */
import type {Flow, FlowQuery} from '../fabric/flow.ts';
import type {LinkReport} from '../fabric/link.ts';
import type {NetworkTraffic} from '../fabric/traffic.ts';
import type {ClockSkew, DiskFill, MemoryAmount} from '../spec/fault.ts';
import type {FrameMatch} from '../spec/frame-match.ts';
import type {FlapDeclaration, ImpairmentDeclaration, LinkDirection} from '../spec/impairment.ts';
import type {MutationOf} from '../spec/mutation.ts';
import type {LabDeclaration} from '../spec/lab.ts';
import type {Duration} from '../spec/units.ts';
import type {LabTopology, LabMachine, OptionValue} from '../spec/topology.ts';

export type {DropReason, Drops} from '../fabric/counters.ts';
export type {Flow, FlowCount, FlowCrossing, FlowEnd, FlowQuery, Way} from '../fabric/flow.ts';
export type {DirectionReport, LinkReport} from '../fabric/link.ts';
export type {ForeignFrame, NetworkTraffic, Payload} from '../fabric/traffic.ts';

/** What a command on a machine gave, each output without its last newline. */
export interface CommandResult {
	readonly stdout: string;
	readonly stderr: string;
	readonly exitCode: number;
}

/** Runs a shell command, quoted like zx: each interpolated value becomes one word (an array several). */
export type CommandTag = (pieces: TemplateStringsArray, ...values: ReadonlyArray<string | number | readonly (string | number)[]>) => Promise<CommandResult>;

/**
 * A machine of the lab, as steps see it.
 *
 * What a step does to a machine (from `pause` on) is put back when the step ends, however it ends: a machine is powered on, goes on, has its disk, its memory and the time that it
 * would have. A step that passed ends when its machines are ready again; one that failed does not wait for that. What is done outside of steps is put back when the scenario ends.
 */
export interface MachineHandle {
	readonly name: string;
	readonly machine: LabMachine;
	/** Runs a command over ssh; rejects when it exits with another code than 0, with the command and its output. */
	readonly $: CommandTag;
	/** The same; never rejects because of the exit code. */
	readonly try$: CommandTag;
	/** Rejects when the command succeeds: for what must not work. */
	readonly fail$: CommandTag;
	/** A text file, as it is. */
	readFile(path: string): Promise<string>;
	/** Writes a file with this mode (default 0o644), and the folders that it needs; who reads it sees the old text or the new. */
	writeFile(path: string, text: string, mode?: number): Promise<void>;
	/** Lets its processors stand still, and its clock with them. */
	pause(): Promise<void>;
	/** Lets a machine go on that was paused. */
	resume(): Promise<void>;
	/** Tells it to shut down and boot anew (`systemctl reboot`), and returns when it has shut down; see `ready`. */
	reboot(): Promise<void>;
	/** Presses its reset button: it boots anew, without having been told. Returns at once; see `ready`. */
	reset(): Promise<void>;
	/** Takes its power away: what it has not written out to its disk is lost. */
	kill(): Promise<void>;
	/** Powers it on again, and returns when it is ready. */
	start(): Promise<void>;
	/** Returns when it is as ready as it was when the lab was: after `reset` or `reboot`. At once where it is. */
	ready(): Promise<void>;
	/** From now on whatever it reads from its disk or writes to it waits, until the disk hangs no more; then it is done. What it has in memory it has. */
	hangDisk(): Promise<void>;
	/** Fills a filesystem with a file, the one of its disk by default. Replaces what filled one before. */
	fillDisk(fill?: DiskFill): Promise<void>;
	/** Moves its clock away from the time that it would have: '+90s', '-1h'; '+0s' moves it back. Replaces the skew before. A reboot ends it. */
	skewClock(skew: ClockSkew): Promise<void>;
	/** Takes memory, of all that it has ('70%') or as a size; rejects where not as much is available. Replaces what was taken before. A reboot ends it. */
	takeMemory(amount: MemoryAmount): Promise<void>;
	/** Ends all that is wrong with it on purpose. A machine that was off is powered on; see `ready`. */
	recover(): Promise<void>;
}

/** The Kubernetes cluster, through the API server's forwarded port. */
export interface ClusterHandle {
	/** The path of the lab's private kubeconfig, for programs on the host. */
	readonly kubeconfig: string;
	/** Runs kubectl on the host with that kubeconfig. */
	readonly kubectl: CommandTag;
	/** Applies manifests, YAML or objects. */
	apply(manifest: string | object | readonly object[]): Promise<void>;
	/** `kubectl get ... -o json`, parsed. */
	get<Value = any>(...words: readonly string[]): Promise<Value>;
}

/**
 * The lab's networks and links, seen from between the machines. A link is named as machine@network: 'node-1@cluster'; an unknown one throws, naming the known.
 *
 * What a step sets on links is put back when the step ends, however it ends; what is set outside of steps, when the scenario ends.
 */
export interface FabricHandle {
	/** What a network has carried since the lab was booted. Throws for an unknown one, naming the known. */
	traffic(network: string): Promise<NetworkTraffic>;
	/** A link, with what is set on it and what became of its frames. */
	link(link: string): Promise<LinkReport>;
	/** All links, in the order of the networks. */
	links(): Promise<readonly LinkReport[]>;
	/**
	 * From the next frame on this is wrong with a link. An impairment takes the place of the one for the same frames (direction and match); a frame is up to the first that
	 * means it, those that match before the one for all frames, the newest first.
	 *
	 * @throws a declaration error with all that is wrong
	 */
	impair(link: string, ...impairments: readonly ImpairmentDeclaration[]): Promise<void>;
	/** Lets nothing pass: both ways, or one; of all frames, or of those that match. */
	cut(link: string, which?: {direction?: LinkDirection; match?: FrameMatch}): Promise<void>;
	/** Takes the cable out of the machine's NIC, or puts it in; or does both again and again, beginning with the cable in. The machine sees it. */
	carrier(link: string, state: 'up' | 'down' | FlapDeclaration): Promise<void>;
	/** Takes all impairments away, of one direction; or of both, and then the carrier is there too. */
	clear(link: string, direction?: LinkDirection): Promise<void>;
	/**
	 * The flows that crossed links since the outermost step that runs began, in the order in which they began, with each link that they crossed.
	 * Throws `recording-cut` when frames of that time are recorded no more, so that nothing is claimed of what was not seen.
	 */
	flows(query?: FlowQuery, options?: FlowOptions): Promise<Flow[]>;
	/** The only such flow. Throws `no-such-flow` or `several-flows`: it shows them, or what there was instead. */
	flow(query?: FlowQuery, options?: FlowOptions): Promise<Flow>;
}

/** What flows are looked for in. */
export interface FlowOptions {
	/** Milliseconds since 1970 (`Date.now()` before what is to be seen); default the beginning of the step. */
	readonly since?: number;
	/** Takes what is still recorded, though it is not all: for what must be there, never for what must not. Default false. */
	readonly partial?: boolean;
}

/** What steps are given: the lab, its machines and cluster, and the words of the report. */
export interface StepContext {
	readonly lab: LabTopology;
	/** A machine by name; throws for an unknown one, naming the known. */
	machine(name: string): MachineHandle;
	/** All machines of a role, in order. */
	machines(role: string): readonly MachineHandle[];
	/** The same as machine(), in the words of a story. */
	node(name: string): MachineHandle;
	router(name: string): MachineHandle;
	tester(name: string): MachineHandle;
	readonly cluster: ClusterHandle;
	readonly fabric: FabricHandle;
	/** zx on the host. */
	readonly host: typeof import('zx').$;
	/** A line of the report. A rejection fails the step, and the scenario ends there. */
	step<Value>(title: string, run: () => Promise<Value>): Promise<Value>;
	/**
	 * Looks until `observe` does not reject, then gives its value. The deadline is at KVM speed and scaled; the last
	 * rejection's message is the last observation.
	 */
	eventually<Value>(sentence: string, observe: () => Promise<Value>, options?: {deadline?: Duration; interval?: Duration}): Promise<Value>;
	/**
	 * The reverse of a step's claim: passes when `run` rejects, fails when it does not. For negative controls; what it rejected with is returned. Reports
	 * show it as `refuted: SENTENCE`, or as the sentence alone where that begins with `control`.
	 */
	refuted(sentence: string, run: () => Promise<unknown>): Promise<Error>;
	/** A sentence in the report. */
	note(text: string): void;
	readonly signal: AbortSignal;
}

/** A change that must turn a scenario red at a certain step. */
export type MutationDeclaration = MutationOf<StepContext>;

/** A lab and the story that is told about it. A frame of a family that its network does not carry fails the step in which it was seen. */
export interface ScenarioDeclaration {
	readonly summary: string;
	readonly lab: LabDeclaration;
	/** At KVM speed, without builds and boot. */
	readonly budget: Duration;
	readonly steps: (context: StepContext) => Promise<void>;
	readonly mutation?: MutationDeclaration;
	/** The same story with other options: name -> overlay -> option -> value. `vmlab run NAME@VARIANT`. */
	readonly variants?: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, OptionValue>>>>>>;
}

/** Declares a scenario; the default export of `scripts/<name>.ts`. */
export function defineScenario(declaration: ScenarioDeclaration): ScenarioDeclaration {
	return declaration;
}
