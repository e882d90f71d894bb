/** The provider that builds with Go, from the overlay's own go.mod and go.sum. */
import {mkdir, readdir, rename} from 'node:fs/promises';
import path from 'node:path';
import {fetchingGo, findGo, toolchainFor} from '../../host/doctor/go.ts';
import {LabError} from '../../host/error.ts';
import {failure} from '../../host/failure.ts';
import {findProgram, run} from '../../host/program.ts';
import type {GoDeclaration} from '../../spec/component.ts';
import {type BuildModule, chooseWords, isMismatch, prepareModule, type RunGo} from './go-module.ts';
import {asReason, type Delivery, type ProviderRequest, withVersion} from './provider.ts';

/** Builds the programs; see `GoDeclaration` and `CSourceDeclaration`. The host's GOFLAGS, GOPROXY and caches are used. */
export async function provideFromGo(request: ProviderRequest): Promise<Delivery> {
	const {component, folder, scratch, signal, log} = request;
	const {go, version} = component;
	if (go === undefined) {
		throw failure.notProvided('go', 'the overlay does not say how to build it');
	}

	const {program, toolchain} = await chooseGo(go);
	await requireCompiler(request, go);
	const runGo: RunGo = async (args, {cwd, accept, unlogged = false}) => run(program, args, {
		cwd, signal,
		...(!unlogged && {log}),
		// Whatever the user has set; and no workspace around our folder.
		env: {GOTOOLCHAIN: toolchain, GOWORK: 'off', GO111MODULE: 'on', CGO_ENABLED: go.cgo === true ? '1' : '0'},
		...(accept && {accept}),
	});
	try {
		request.progress(`modules of ${go.module} v${version}`);
		const module = await prepareModule(go, version, {pins: path.join(folder, go.folder ?? '.'), folder: path.join(scratch, 'module'), runGo});
		await buildPackages(request, go, module, runGo);
		await compileSources(request, module);
		return {version, sources: {[`${module.main.Path}@${module.main.Version}`]: module.main.Sum}};
	} catch (error) {
		if (error instanceof LabError && error.details.some(isMismatch)) {
			throw failure.moduleMismatch(component.name, error.details, log);
		}

		throw error instanceof LabError && error.code === 'program-failed' ? asReason('go', error, chooseWords) : error;
	}
}

/** The Go to build with, and what GOTOOLCHAIN must be for that; where the declaration asks for none in particular, one that reads go.mod files of today. */
async function chooseGo({goVersion = fetchingGo}: GoDeclaration): Promise<{program: string; toolchain: string}> {
	const found = await findGo(goVersion);
	const toolchain = found && toolchainFor(found, goVersion);
	if (found === undefined || toolchain === undefined) {
		throw failure.notProvided('go', `it takes Go ${goVersion}, or Go ${fetchingGo} or newer that fetches it, and ${found === undefined ? 'Go is not installed' : `this computer has Go ${found.version}`}`);
	}

	return {program: found.program, toolchain};
}

async function requireCompiler({component}: ProviderRequest, go: GoDeclaration): Promise<void> {
	const programs = [...(go.cgo === true || component.cSources !== undefined ? [compiler()] : []), ...(go.headers?.includes('pkg-config') === true ? ['pkg-config'] : [])];
	const found = await Promise.all(programs.map(async (program) => findProgram(program)));
	const missing = programs.filter((_, index) => found[index] === undefined);
	if (missing.length > 0) {
		throw failure.notProvided('go', `it takes a C compiler, and ${missing.join(' and ')} is not installed (Debian packages gcc libc6-dev ${(go.headers ?? []).join(' ')})`);
	}
}

function compiler(): string {
	return process.env['CC'] || 'gcc';
}

/** The last element of a package's path that is no major version: what `go build` names the program. */
export function programOfPackage(importPath: string): string {
	const elements = importPath.split('/');
	return (/^v\d+$/.test(elements.at(-1)!) ? elements.at(-2) : elements.at(-1))!;
}

/** All packages at once, so that they are linked side by side. */
async function buildPackages({component, out, scratch, progress}: ProviderRequest, go: GoDeclaration, module: BuildModule, runGo: RunGo): Promise<void> {
	const packages = Object.entries(go.packages);
	if (packages.length === 0) {
		return;
	}

	progress(`go build: ${packages.map(([name]) => name).join(', ')}`);
	const built = path.join(scratch, 'built');
	await mkdir(built);
	const flags = [
		`-mod=${module.pinned ? 'readonly' : 'mod'}`, '-trimpath', '-buildvcs=false',
		`-ldflags=-s -w -buildid= ${withVersion(go.ldflags ?? '', component.version)}`,
		...(go.tags === undefined ? [] : [`-tags=${go.tags.join(',')}`]),
	];
	for (const group of withoutTwins(packages)) {
		await runGo(['build', ...flags, `-o=${built}/`, ...group.map(([, importPath]) => importPath)], {cwd: module.folder});
		for (const [name, importPath] of group) {
			await rename(path.join(built, programOfPackage(importPath)), path.join(out, name));
		}
	}
}

/** Groups in which no two packages make programs of one name. */
function withoutTwins(packages: ReadonlyArray<readonly [string, string]>): Array<Array<readonly [string, string]>> {
	const groups: Array<Array<readonly [string, string]>> = [];
	for (const entry of packages) {
		const group = groups.find((each) => each.every(([, other]) => programOfPackage(other) !== programOfPackage(entry[1])));
		if (group === undefined) {
			groups.push([entry]);
		} else {
			group.push(entry);
		}
	}

	return groups;
}

/** Static programs from the C sources that the module brings along. */
async function compileSources({component, out, signal, log, progress}: ProviderRequest, {main}: BuildModule): Promise<void> {
	for (const [name, place] of Object.entries(component.cSources?.folders ?? {})) {
		progress(`compile ${name}`);
		const sources = place.endsWith('.c') ? [place] : (await readdir(path.join(main.Dir, place))).filter((file) => file.endsWith('.c')).sort().map((file) => path.join(place, file));
		await run(compiler(), ['-Os', '-static', '-s', `-DVERSION=v${component.version}`, `-ffile-prefix-map=${main.Dir}=.`, '-o', path.join(out, name), ...sources], {cwd: main.Dir, signal, log});
	}
}
