/** What is to be undone, in the reverse order of how it came. */

/** A pile of things to undo, the newest first. */
export interface Cleanup {
	/** Adds something to be undone. It is given what failed first of what was undone before it; undefined where all went well. */
	add(undo: (failed: unknown) => Promise<unknown>): void;
	/** Undoes everything, whatever fails of it. Throws what failed first. */
	run(): Promise<void>;
}

/** An empty pile. */
export function createCleanup(): Cleanup {
	const undos: Array<(failed: unknown) => Promise<unknown>> = [];
	return {
		add(undo) {
			undos.push(undo);
		},
		async run() {
			const failures: unknown[] = [];
			for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) {
				try {
					await undo(failures[0]);
				} catch (error) {
					failures.push(error);
				}
			}

			if (failures.length > 0) {
				throw failures[0];
			}
		},
	};
}
