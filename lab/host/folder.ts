/** Where things are kept on this computer: the XDG base directories, and the package itself. */
import {existsSync} from 'node:fs';
import {homedir} from 'node:os';
import path from 'node:path';

/** The folders of this user. */
export interface Folders {
	/** What can be made again: stages, downloads, probes. `VMLAB_CACHE_DIR`, else `$XDG_CACHE_HOME/vmlab`. */
	readonly cache: string;
	/** What lives as long as a lab. `VMLAB_STATE_DIR`, else `$XDG_STATE_HOME/vmlab`. */
	readonly state: string;
}

/**
 * This user's folders; none is created here. Relative XDG values are ignored, as the XDG Base Directory Specification
 * asks for.
 */
export function folders(environment: NodeJS.ProcessEnv = process.env): Folders {
	const home = environment['HOME'] || homedir();
	const base = (variable: string, fallback: string): string => {
		const value = environment[variable];
		return value !== undefined && path.isAbsolute(value) ? value : fallback;
	};

	return {
		cache: path.resolve(environment['VMLAB_CACHE_DIR'] || path.join(base('XDG_CACHE_HOME', path.join(home, '.cache')), 'vmlab')),
		state: path.resolve(environment['VMLAB_STATE_DIR'] || path.join(base('XDG_STATE_HOME', path.join(home, '.local/state')), 'vmlab')),
	};
}

/** The folder of a lab: everything that it has on disk is in it, but for its memory. */
export function labFolder(lab: string): string {
	return path.join(folders().state, 'labs', lab);
}

function findPackage(): string {
	let folder = import.meta.dirname;
	while (!existsSync(path.join(folder, 'package.json'))) {
		folder = path.dirname(folder);
	}

	return folder;
}

/** The root of this package: overlays/, images/ and scripts/ are in it. The same for the sources and for what is compiled from them. */
export const packageFolder: string = findPackage();
