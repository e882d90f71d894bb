/** The Go module that a component is built in: the overlay's own go.mod and go.sum, or for another version ones that follow from them. */
import {existsSync} from 'node:fs';
import {copyFile, mkdir, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {failure} from '../../host/failure.ts';
import type {RunResult} from '../../host/program.ts';
import type {GoDeclaration} from '../../spec/component.ts';

/** Runs Go in a folder; throws what `run` throws. */
export type RunGo = (args: readonly string[], options: {cwd: string; accept?: readonly number[]; unlogged?: boolean}) => Promise<RunResult>;

/** What `go mod edit -json` prints, as far as it is needed here. */
interface ModuleFile {
	readonly Go?: string;
	readonly Require?: ReadonlyArray<{readonly Path: string; readonly Version: string; readonly Indirect?: boolean}>;
	readonly Replace?: ReadonlyArray<{readonly Old: {readonly Path: string; readonly Version?: string}; readonly New: {readonly Path: string; readonly Version?: string}}>;
}

/** What `go mod download -json` prints of one module. */
export interface DownloadedModule {
	readonly Path: string;
	readonly Version: string;
	/** Its go.mod in the module cache. */
	readonly GoMod: string;
	/** Its unpacked sources, read-only. */
	readonly Dir: string;
	/** Go's own checksum of it: `h1:...`. */
	readonly Sum: string;
}

/** A folder with go.mod and go.sum to build in. */
export interface BuildModule {
	readonly folder: string;
	/** Is every sum pinned in the overlay's go.sum? Else Go asks the checksum database for those that are not. */
	readonly pinned: boolean;
	readonly main: DownloadedModule;
}

/**
 * Prepares the module in an empty folder.
 *
 * @param pins the folder with the overlay's go.mod and go.sum
 * @throws `not-provided` when there is no go.mod or the version is not to be had
 */
export async function prepareModule(go: GoDeclaration, version: string, {pins, folder, runGo}: {pins: string; folder: string; runGo: RunGo}): Promise<BuildModule> {
	if (!existsSync(path.join(pins, 'go.mod'))) {
		throw failure.notProvided('go', `the overlay has no go.mod in ${pins}`);
	}

	await mkdir(folder, {recursive: true});
	const own = await readModuleFile(path.join(pins, 'go.mod'), folder, runGo);
	const wanted = `v${version}`;
	const pinnedVersion = own.Require?.find(({Path}) => Path === go.module)?.Version;
	if (pinnedVersion === undefined) {
		throw failure.notProvided('go', `${path.join(pins, 'go.mod')} does not require ${go.module}`);
	}

	const pinSums = async (): Promise<void> => copyIfThere(path.join(pins, 'go.sum'), path.join(folder, 'go.sum'));
	await pinSums();
	if (pinnedVersion === wanted) {
		await copyFile(path.join(pins, 'go.mod'), path.join(folder, 'go.mod'));
		const main = await download(go.module, folder, runGo);
		// The download adds what is missing there; the build has to do with what is pinned.
		await pinSums();
		return {folder, pinned: true, main};
	}

	// Go must ask for the version from where no go.mod chooses another one.
	const nowhere = path.join(folder, 'nowhere');
	await mkdir(nowhere);
	const main = await download(`${go.module}@${wanted}`, nowhere, runGo);
	// Modules that the overlay keeps at the main module's version follow it (etcdctl follows etcd).
	const followers = (own.Require ?? []).filter(({Version, Indirect}) => Version === pinnedVersion && Indirect !== true).map(({Path}) => Path);
	const text = otherVersion(await readModuleFile(main.GoMod, folder, runGo), [...new Set([go.module, ...followers])], version, go.staging === true);
	await writeFile(path.join(folder, 'go.mod'), text);
	if (go.ownSums === true) {
		await copyIfThere(path.join(main.Dir, 'go.sum'), path.join(folder, 'go.sum'));
	}

	return {folder, pinned: false, main};
}

/** The go.mod for a version that is not the pinned one; pure. `theirs` is the main module's own. */
export function otherVersion(theirs: ModuleFile, modules: readonly string[], version: string, staging: boolean): string {
	const [, minor, patch] = version.split('.');
	const replaced = (theirs.Replace ?? []).flatMap(({Old, New}) => {
		const from = Old.Version === undefined ? Old.Path : `${Old.Path} ${Old.Version}`;
		if (New.Path.startsWith('.')) {
			// A folder beside the module: published as a module of its own, at the version that goes with this one.
			return staging ? [`${from} => ${Old.Path} v0.${minor}.${patch}`] : [];
		}

		return [`${from} => ${New.Path} ${New.Version}`];
	});
	return [
		'module vmlab.test/build',
		'',
		`go ${theirs.Go ?? '1.21'}`,
		'',
		...modules.map((module) => `require ${module} v${version}`),
		...(replaced.length === 0 ? [] : ['', ...replaced.map((line) => `replace ${line}`)]),
		'',
	].join('\n');
}

/** Downloads a module, `path` or `path@version`, into Go's own cache; Go checks it. */
async function download(module: string, cwd: string, runGo: RunGo): Promise<DownloadedModule> {
	const {stdout, stderr} = await runGo(['mod', 'download', '-json', module], {cwd, accept: [0, 1]});
	const answer = parseAnswer(stdout);
	if (answer === undefined || answer.Error !== undefined) {
		const words = answer?.Error ?? stderr;
		throw isMismatch(words) ? failure.moduleMismatch(module, words.split('\n')) : failure.notProvided('go', chooseWords(words.split('\n')) || `${module} is not to be had`);
	}

	return answer;
}

/** The one thing of Go's output that says what is wrong: a line, with the indented ones that go on with it; pure. */
export function chooseWords(lines: readonly string[]): string {
	const whole: string[] = [];
	for (const line of lines) {
		if (/^\s/.test(line) && whole.length > 0) {
			whole.push(`${whole.pop()!} (${line.trim()})`);
		} else if (line.trim() !== '') {
			whole.push(line.trim());
		}
	}

	return whole.find((line) => !/^go: (downloading|finding|upgraded|added)|^#/.test(line)) ?? '';
}

function parseAnswer(stdout: string): (DownloadedModule & {readonly Error?: string}) | undefined {
	try {
		return JSON.parse(stdout) as DownloadedModule & {Error?: string};
	} catch {
		return undefined;
	}
}

/** Does Go say that something has not the checksum that it must have? */
export function isMismatch(words: string): boolean {
	return /checksum mismatch|SECURITY ERROR/.test(words);
}

async function readModuleFile(file: string, cwd: string, runGo: RunGo): Promise<ModuleFile> {
	const {stdout} = await runGo(['mod', 'edit', '-json', file], {cwd, unlogged: true});
	return JSON.parse(stdout) as ModuleFile;
}

async function copyIfThere(from: string, to: string): Promise<void> {
	if (existsSync(from)) {
		// Written anew: what comes from the module cache is read-only, and Go adds sums to it.
		await writeFile(to, await readFile(from));
	}
}
