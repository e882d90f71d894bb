/** A full disk shows itself in many ways: the system's own error, or whatever a program makes of it. */
import {statfs} from 'node:fs/promises';
import {failure} from '../host/failure.ts';
import {LabError} from '../host/error.ts';

/** With less than this, in bytes, nothing can be made: what failed then, failed for that. */
const leastRoom = 256 * 1024;

/** Does an error, or one of its causes, say that no room (or none of the quota) is left? */
export function saysDiskFull(error: unknown): boolean {
	for (let each = error; each instanceof Error; each = each.cause) {
		const {code} = each as {code?: unknown};
		if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'disk-full') {
			return true;
		}

		const words = each instanceof LabError ? [each.message, ...each.details] : [each.message];
		if (words.some((line) => /no space left on device|disk quota exceeded/i.test(line))) {
			return true;
		}
	}

	return false;
}

/** The error as it is, or the `disk-full` failure with it as its cause, where a full disk is behind it. */
export async function explainFullDisk(error: unknown, folder: string): Promise<unknown> {
	if (error instanceof LabError && (error.code === 'disk-full' || error.kind === 'interrupted')) {
		return error;
	}

	if (saysDiskFull(error)) {
		return failure.diskFull(folder, error);
	}

	const room = await statfs(folder).catch(() => undefined);
	return room !== undefined && room.bavail * room.bsize < leastRoom ? failure.diskFull(folder, error) : error;
}
