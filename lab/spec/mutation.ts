/** What shows that a scenario can fail, as users declare it. */

/** A change that must turn a scenario red at a certain step: what shows that the step can fail. `vmlab run NAME --mutate` makes it. `Context` is that of steps. */
export interface MutationOf<Context> {
	/** What is changed, as a clause: 'node-2 forwards nothing'. */
	readonly summary: string;
	/** The title of the step that must fail; those before it must pass. */
	readonly red: string;
	/** What its message, or a line below it, must match: the cause. */
	readonly because: RegExp;
	/** The title of the step that the change is made right before; default the first. */
	readonly before?: string;
	/** Makes the change. */
	readonly apply: (context: Context) => Promise<void>;
}
