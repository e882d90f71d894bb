/** What was found out about a file, remembered as long as this process lives and the file stays as it is. */
import {stat} from 'node:fs/promises';

/** Gives `find`, which looks at a file, as a function that looks again only when the file has another inode, size or time. */
export function whileUnchanged<Value>(find: (file: string, signal?: AbortSignal) => Promise<Value>): (file: string, signal?: AbortSignal) => Promise<Value> {
	const known = new Map<string, {mark: string; value: Value}>();
	return async (file, signal) => {
		const {dev, ino, size, mtimeMs, ctimeMs} = await stat(file);
		const mark = [dev, ino, size, mtimeMs, ctimeMs].join(' ');
		const kept = known.get(file);
		if (kept?.mark === mark) {
			return kept.value;
		}

		// Not the promise: each caller has a signal of its own.
		const value = await find(file, signal);
		known.set(file, {mark, value});
		return value;
	};
}
