/** What `vmlab doctor --fix` does about findings: it installs packages. */
import {LabError} from '../host/error.ts';
import type {Finding} from '../host/doctor/finding.ts';
import {compareGo, fetchingGo} from '../host/doctor/go.ts';
import {availablePackages, type InstallOptions, installPackages, refreshPackageLists} from '../host/install.ts';

/** Is it a package of Go? Only some releases have the versioned ones. */
const isGo = (name: string): boolean => /^golang-/.test(name);

/** The first package that has the Go of its name, or one that fetches others; versions are Debian's, which may begin with an epoch. */
function chooseGo(available: ReadonlyMap<string, string>): string[] {
	return [...available].filter(([name, version]) => name !== 'golang-go' || compareGo(version.replace(/^\d+:/, ''), fetchingGo) >= 0).map(([name]) => name).slice(0, 1);
}

/**
 * Installs what findings name as their cure. Go is installed where the host's mirrors have the version, or one that fetches it; where not, its
 * finding goes on saying where to get it.
 *
 * @returns whether anything was installed
 * @throws `install-by-hand` where something is missing that vmlab cannot do without, `program-failed`
 */
export async function cure(findings: readonly Finding[], options: InstallOptions): Promise<boolean> {
	const wanted = [...new Set(findings.flatMap(({packages = []}) => packages))];
	const plain = wanted.filter((name) => !isGo(name));
	try {
		await installPackages(plain, options);
		const versions = wanted.filter(isGo);
		if (plain.length === 0 && versions.length > 0) {
			// Those of a fresh machine are empty.
			await refreshPackageLists(options);
		}

		// After the others, since installing them brings the lists up to date.
		const go = chooseGo(await availablePackages(versions, options.signal));
		await installPackages(go, options);
		return plain.length + go.length > 0;
	} catch (error) {
		const needed = findings.some(({status, packages = []}) => status === 'problem' && packages.length > 0);
		if (needed || !(error instanceof LabError) || error.code !== 'install-by-hand') {
			throw error;
		}

		// Nothing that is missing keeps vmlab from working.
		options.say(`${error.message}; without these it goes on too. ${error.hint ?? ''}`);
		return false;
	}
}
