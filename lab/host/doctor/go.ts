/** Go: needed only where a component has still to be built, and then of the version that it asks for. */
import {existsSync} from 'node:fs';
import semver from 'semver';
import {findProgram, run} from '../program.ts';
import type {Finding} from './finding.ts';

/** Something that Go has to build. */
export interface GoNeed {
	/** The component, for the sentence. */
	readonly component: string;
	/** The oldest Go that builds it: '1.26'. */
	readonly version?: string;
	/** Debian packages of headers, for those that need a C compiler; undefined for those that need none. */
	readonly headers?: readonly string[];
	/** Can it be had without Go, where there is a network? */
	readonly released: boolean;
}

/** A Go that is installed. */
export interface InstalledGo {
	readonly program: string;
	/** '1.26.8' */
	readonly version: string;
}

/** Compares releases of Go, whatever their patch level. */
export function compareGo(a: string, b: string): number {
	return semver.compare(firstOf(a), firstOf(b));
}

/** The first version of a release: 1.26.0 for 1.26.8. */
function firstOf(version: string): string {
	const {major, minor} = semver.coerce(version) ?? {major: 0, minor: 0};
	return `${major}.${minor}.0`;
}

/** The newest of Debian's versioned Go folders that is asked for would be here. */
export function goFolder(version: string): string {
	return `/usr/lib/go-${version.split('.').slice(0, 2).join('.')}/bin`;
}

/** The first Go that fetches another one as a module where it is told to (Go's documentation, "Go Toolchains"). */
export const fetchingGo = '1.21';

/**
 * The value of GOTOOLCHAIN with which an installed Go is one of the wanted version or newer: itself, where it has the patch level that modules ask for, or one that it
 * fetches over the module proxy, checked like every module. Undefined for one that cannot do that.
 */
export function toolchainFor(go: InstalledGo, wanted: string): string | undefined {
	if (compareGo(go.version, fetchingGo) < 0) {
		return compareGo(go.version, wanted) >= 0 ? 'local' : undefined;
	}

	return compareGo(go.version, wanted) >= 0 ? 'auto' : `go${semver.coerce(wanted)?.version ?? wanted}+auto`;
}

/** The newest Go that is installed: the one in PATH, or Debian's package of the wanted version. */
export async function findGo(wanted: string): Promise<InstalledGo | undefined> {
	const candidates = ['go', `${goFolder(wanted)}/go`, '/usr/local/go/bin/go'];
	const found = await Promise.all(candidates.map(async (candidate): Promise<InstalledGo | undefined> => {
		if (candidate.includes('/') ? !existsSync(candidate) : await findProgram(candidate) === undefined) {
			return undefined;
		}

		const {stdout} = await run(candidate, ['version'], {accept: [0, 1, 2, 126, 127], timeout: 10_000, env: {GOTOOLCHAIN: 'local'}});
		const version = /go version go(\d+\.\d+(?:\.\d+)?)/.exec(stdout)?.[1];
		return version === undefined ? undefined : {program: candidate, version};
	}));
	return found.filter((go) => go !== undefined).sort((a, b) => compareGo(b.version, a.version))[0];
}

/** The finding for what has to be built. */
export async function checkGo(needs: readonly GoNeed[]): Promise<Finding[]> {
	const wanted = needs.map(({version}) => version ?? fetchingGo).sort(compareGo).at(-1);
	if (wanted === undefined) {
		return [{id: 'go', status: 'ok', text: 'Go is not needed: no component has to be built'}];
	}

	return [goFinding(await findGo(wanted), wanted, needs), ...await checkCompiler(needs)];
}

/** The same for what was found; pure. */
export function goFinding(go: InstalledGo | undefined, wanted: string, needs: readonly GoNeed[]): Finding {
	const id = 'go';
	const components = needs.map(({component}) => component).join(', ');
	if (go !== undefined && compareGo(go.version, wanted) >= 0) {
		return {id, status: 'ok', text: `Go ${go.version}, for ${components}`};
	}

	const release = wanted.split('.').slice(0, 2).join('.');
	if (go !== undefined && toolchainFor(go, wanted) !== undefined) {
		return {id, status: 'ok', text: `Go ${go.version}, which fetches Go ${release} itself, for ${components}`};
	}

	const have = go === undefined ? 'Go is not installed' : `Go ${go.version} is too old`;
	return {
		id,
		status: needs.every(({released}) => released) ? 'warning' : 'problem',
		text: `${have}: ${components} ${needs.length === 1 ? 'has' : 'have'} to be built with Go ${wanted} or newer`,
		advice: `Install Go ${fetchingGo} or newer, which fetches Go ${release} itself: from https://go.dev/dl, or the package golang-go where your release has one so new.`,
		packages: [`golang-${release}-go`, 'golang-go'],
	};
}

async function checkCompiler(needs: readonly GoNeed[]): Promise<Finding[]> {
	const native = needs.filter(({headers}) => headers !== undefined);
	if (native.length === 0) {
		return [];
	}

	const packages = [...new Set(['gcc', 'libc6-dev', 'pkg-config', ...native.flatMap(({headers = []}) => headers)])];
	const missing = await missingPackages(packages);
	const components = native.map(({component}) => component).join(', ');
	return [missing.length === 0
		? {id: 'compiler', status: 'ok', text: `A C compiler and headers, for ${components}`}
		: {
			id: 'compiler', status: 'problem', text: `${components} ${native.length === 1 ? 'has' : 'have'} to be built with a C compiler; missing: ${missing.join(' ')}`,
			advice: `Install the packages ${missing.join(' ')}.`, packages: missing,
		}];
}

/** Those of Debian's packages that are not installed. Where there is no dpkg, only the programs can be looked for. */
async function missingPackages(packages: readonly string[]): Promise<string[]> {
	if (await findProgram('dpkg-query') === undefined) {
		const programs = await Promise.all(['gcc', 'pkg-config'].map(async (program) => ({program, found: await findProgram(program)})));
		return programs.filter(({found}) => found === undefined).map(({program}) => program);
	}

	const {stdout} = await run('dpkg-query', ['--show', '--showformat', '${Package} ${Provides} ${db:Status-Status}\n', ...packages, 'pkgconf'], {accept: [0, 1]});
	const installed = stdout.split('\n').filter((line) => line.endsWith(' installed'));
	return packages.filter((name) => !installed.some((line) => line.startsWith(`${name} `) || (name === 'pkg-config' && line.startsWith('pkgconf '))));
}
