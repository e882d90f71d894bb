/**
 * The stage engine: a stage has a key and a make(); it is run once, under a lock, into a content-addressed store.
 */
import type {EventSink} from '../event/event.ts';

/** What make() is given. */
export interface StageWork {
	/** The stage's key. Whoever has it here holds its lock: nobody else on this computer makes the same for this store. */
	readonly key: string;
	/** An empty folder to put the result in; it becomes the stage's folder when make() returns. */
	readonly out: string;
	/** A scratch folder on the same filesystem; removed afterwards, whatever happens. */
	readonly scratch: string;
	/** Aborted on Ctrl-C: programs must be ended, make() must reject. */
	readonly signal: AbortSignal;
	/** A line about what is going on; also written to the stage's log. */
	progress(text: string): void;
	/** The log file of this making; programs' output goes here. */
	readonly log: string;
}

/** A stage as the store knows it: where a made thing is. */
export interface StageRequest {
	/** 'image bookworm' */
	readonly name: string;
	/** Hex sha256 of everything that goes into it. */
	readonly key: string;
	readonly make: (work: StageWork) => Promise<void>;
	/** The scenario that wants it, for whoever lists stages; others may use it later. */
	readonly madeFor?: string | undefined;
	/** Calls what it is given when this stage may be made: asked only where it is not there and nobody else makes it. Default: at once. */
	readonly turn?: (<Value>(work: () => Promise<Value>) => Promise<Value>) | undefined;
	/**
	 * Files of the result, relative to `out`, that keep their owner's right to write, and to be read by nobody else: QEMU before 8.2 opens memory for
	 * writing even where it maps it privately.
	 */
	readonly writable?: readonly string[];
}

/** A made stage. */
export interface MadeStage {
	readonly name: string;
	readonly key: string;
	/** The folder with what was made; read-only. */
	readonly folder: string;
	/** Hex sha256 of what is in the folder: two makings of one key need not give the same bytes. */
	readonly digest: string;
	/** Milliseconds since 1970. */
	readonly madeAt: number;
	readonly seconds: number;
	readonly bytes: number;
	/** The scenario that wanted it first; undefined where none did. */
	readonly madeFor?: string | undefined;
}

/** The store: what was made, by the hash of what went into it. */
export interface Store {
	readonly folder: string;
	/**
	 * The made stage; undefined where there is none, or where a file of it is missing, cut short or altered. Cheap: a file is read only where its inode,
	 * its size or its time is not what it was, as in a cache that was moved; then once.
	 */
	find(key: string): Promise<MadeStage | undefined>;
	/** Why a stage that was made is not found any more, one sentence each; none where it is whole, and where it was never made. */
	problems(key: string): Promise<string[]>;
	/**
	 * Finds the stage or makes it. Two processes that want the same stage make it once: the second waits, and says so.
	 * A failed or interrupted make leaves nothing but its log.
	 */
	make(request: StageRequest, options: {events: EventSink; signal: AbortSignal}): Promise<MadeStage>;
	/**
	 * Keeps the stages of these keys, made already or not, from being pruned as long as this process lives. To be called before
	 * they are looked for: what is found afterwards stays.
	 */
	hold(keys: readonly string[], signal: AbortSignal): Promise<void>;
	list(): Promise<MadeStage[]>;
	/** Checks the digests of a stage's files against those recorded when it was made. Returns the problems. */
	verify(stage: MadeStage): Promise<string[]>;
	/**
	 * Removes these stages, and tells those that stay since they are in use: a living process holds or makes them, or `keep` has them.
	 *
	 * @param keep as for `prune`
	 */
	remove(keys: readonly string[], keep: NonNullable<PruneOptions['keep']>): Promise<{removed: MadeStage[]; inUse: MadeStage[]}>;
	/** Removes stages that were not used since then and that no living process holds, their logs, and all scratch of dead makers. Returns those removed. */
	prune(options: PruneOptions): Promise<MadeStage[]>;
}

/** What `prune` removes. */
export interface PruneOptions {
	/** Milliseconds since 1970. */
	readonly unusedSince: number;
	/**
	 * Keys of stages that stay however old they are: those that running labs are made of. Asked after it is known who holds
	 * stages, so that of who has handed his on to a lab and ended meanwhile, the lab is seen.
	 */
	readonly keep?: () => Promise<ReadonlySet<string>>;
}
