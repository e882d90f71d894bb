/** What all providers of components have in common: what they are asked, and what they answer. */
import {LabError} from '../../host/error.ts';
import {failure} from '../../host/failure.ts';
import {saysDiskFull} from '../../store/full-disk.ts';
import type {ComponentDeclaration} from '../../spec/component.ts';

/** The providers, in the order in which they are asked. */
export type ProviderName = 'local' | 'release' | 'go' | 'debian';

/** A component that is wanted. */
export interface ProviderRequest {
	readonly component: ComponentDeclaration;
	/** The folder of the overlay that declares it. */
	readonly folder: string;
	/** What the plan knows of a local build: hex sha256 over its programs. */
	readonly localDigest?: string;
	/** Where to put the programs, each by its name. An empty folder. */
	readonly out: string;
	/** An empty folder for whatever is needed on the way. */
	readonly scratch: string;
	readonly signal: AbortSignal;
	readonly log: string;
	progress(text: string): void;
}

/** Where a component came from. */
export interface Delivery {
	/** The version that was really delivered. */
	readonly version: string;
	/** What it was made from: an address, a module, a package or a folder -> its hex sha256, or Go's `h1:` sum. */
	readonly sources: Readonly<Record<string, string>>;
}

/**
 * Delivers all programs of a component, or throws.
 *
 * @throws `not-provided` with a reason, upon which the next provider is asked; anything else ends the search
 */
export type Provider = (request: ProviderRequest) => Promise<Delivery>;

/** An address or path with the version put in. */
export function withVersion(text: string, version: string): string {
	return text.replaceAll('VERSION', version);
}

/** How many characters of a program's words a reason has. */
const longestReason = 300;

/**
 * An error of a program as the reason why a provider has nothing: what it said in its last line, or what is chosen from all.
 * What is no error of a program, and a full disk, is thrown on.
 */
export function asReason(provider: ProviderName, error: unknown, choose: (lines: readonly string[]) => string = (lines) => lines.at(-1) ?? ''): LabError {
	if (!(error instanceof LabError) || !['program-failed', 'program-missing'].includes(error.code) || saysDiskFull(error)) {
		throw error;
	}

	const reason = choose(error.details).trim() || error.message;
	return failure.notProvided(provider, reason.length > longestReason ? `${reason.slice(0, longestReason)}...` : reason, error.details, error.log);
}
