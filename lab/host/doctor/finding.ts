/** What a look at this computer found. */

/** One finding: `problem` keeps vmlab from working, `warning` costs something or may, `ok` is as it should be. */
export type Finding = {
	/** Stable, in kebab-case: 'qemu', 'kvm', 'disk'. */
	readonly id: string;
	/** What was found, as a sentence without a full stop. */
	readonly text: string;
	/** The host packages that cure it, by their names in Debian; see `packageNames` for other distributions. */
	readonly packages?: readonly string[];
} & (
	| {readonly status: 'ok'; readonly advice?: undefined}
	/** What to do about it, as a sentence. */
	| {readonly status: 'warning' | 'problem'; readonly advice: string}
);

/** A check: one look, which may give several findings. Rejects only for our own bugs. */
export type Check = () => Promise<readonly Finding[]>;
