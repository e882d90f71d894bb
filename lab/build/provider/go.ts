/**
 * `go build` of a pinned module. The overlay's go.mod and go.sum say what goes into the programs, down to the last
 * dependency, so that the same version gives the same programs everywhere; for another version than the pinned one the
 * dependencies are those of that version's own go.mod, checked against Go's checksum database.
 */
import {chmod, copyFile, cp, mkdir, readFile, rename, stat, writeFile} from 'node:fs/promises';
import {availableParallelism} from 'node:os';
import path from 'node:path';
import semver from 'semver';
import {findProgram, run} from '../../host/program.ts';
import type {ComponentDeclaration, GoDeclaration} from '../../spec/component.ts';
import type {StageWork} from '../../store/store.ts';
import {type Answer, type Delivery, lacks, type Provider} from './provider.ts';

/** A module as `go mod download -json` tells of it (go help mod download). */
interface DownloadedModule {
	readonly Dir: string;
	readonly GoMod: string;
}

/** Builds from Go modules. */
export const goProvider: Provider = {
	name: 'go',
	async deliver({component, folder, work}: Delivery): Promise<Answer> {
		const {go} = component;
		if (go === undefined) {
			return lacks('it is not built from a Go module');
		}

		const missing = await missingCompiler(go, component);
		if (missing !== undefined) {
			return lacks(missing);
		}

		const pinned = path.join(folder, go.folder ?? '.');
		const project = path.join(work.scratch, 'module');
		await mkdir(project);
		const builder = new GoBuilder(component, go, work, project);
		const exact = await builder.prepare(pinned);
		await builder.build(exact);
		await builder.compileSources();
		return {delivered: true, origin: `${go.module}@v${component.version}${exact ? ', pinned by go.mod and go.sum' : ''}`};
	},
};

/** Why this computer cannot build it, or undefined. */
async function missingCompiler(go: GoDeclaration, component: ComponentDeclaration): Promise<string | undefined> {
	const wanted = go.goVersion ?? '1.21';
	if ((await findProgram('go')) === undefined) {
		return `Go is not installed: ${wanted} or newer is needed`;
	}

	const {stdout} = await run('go', ['env', 'GOVERSION'], {env: {GOTOOLCHAIN: 'local'}});
	const installed = semver.coerce(stdout);
	if (installed !== null && semver.lt(installed, semver.coerce(wanted) ?? '0.0.0')) {
		return `Go is ${installed.version}: ${wanted} or newer is needed`;
	}

	if ((go.cgo || component.cSources !== undefined) && (await findProgram('gcc')) === undefined) {
		return `gcc is not installed${go.headers === undefined ? '' : ` (the Debian packages ${['gcc', ...go.headers].join(', ')} are needed)`}`;
	}

	return undefined;
}

class GoBuilder {
	readonly #component: ComponentDeclaration;
	readonly #go: GoDeclaration;
	readonly #work: StageWork;
	readonly #project: string;

	constructor(component: ComponentDeclaration, go: GoDeclaration, work: StageWork, project: string) {
		this.#component = component;
		this.#go = go;
		this.#work = work;
		this.#project = project;
	}

	/** Puts go.mod and go.sum into the project's folder. True when they are the pinned ones, false when made for another version. */
	async prepare(pinned: string): Promise<boolean> {
		const {module, staging = false, ownSums = false} = this.#go;
		const version = `v${this.#component.version}`;
		const text = await readFile(path.join(pinned, 'go.mod'), 'utf8');
		const pin = requirements(text).find(({name}) => name === module);
		if (pin?.version === version) {
			await copyFile(path.join(pinned, 'go.mod'), path.join(this.#project, 'go.mod'));
			await copyFile(path.join(pinned, 'go.sum'), path.join(this.#project, 'go.sum'));
			return true;
		}

		// The module itself, and what moves with it: etcdctl with etcd.
		const together = requirements(text).filter((entry) => !entry.indirect && entry.version === pin?.version).map(({name}) => name);
		await writeFile(path.join(this.#project, 'go.mod'), [
			'module vmlab.test/other-version', '',
			...[...new Set([module, ...together])].map((name) => `require ${name} ${version}`), '',
		].join('\n'));
		this.#work.progress(`asking for ${module} ${version}`);
		const {Dir: source, GoMod: manifest} = await this.#download(`${module}@${version}`);
		const own = await readFile(manifest, 'utf8');
		const replaces = staging ? stagingReplaces(own, this.#component.version) : [];
		const language = /^go (\S+)/m.exec(own)?.[1];
		const current = await readFile(path.join(this.#project, 'go.mod'), 'utf8');
		await writeFile(path.join(this.#project, 'go.mod'), `${current}${language === undefined ? '' : `\ngo ${language}\n`}\n${replaces.join('\n')}\n`);
		if (ownSums) {
			await copyFile(path.join(source, 'go.sum'), path.join(this.#project, 'go.sum'));
			await chmod(path.join(this.#project, 'go.sum'), 0o644);
		}

		return false;
	}

	/** Builds all packages in one run, so that what they share is compiled once. */
	async build(exact: boolean): Promise<void> {
		const {packages, tags = [], cgo = false, ldflags = ''} = this.#go;
		const names = Object.entries(packages);
		if (names.length === 0) {
			return;
		}

		const bin = path.join(this.#work.scratch, 'bin');
		await mkdir(bin);
		this.#work.progress(`go build: ${names.map(([name]) => name).join(', ')}`);
		await this.#run([
			'build', '-trimpath', '-buildvcs=false', `-mod=${exact ? 'readonly' : 'mod'}`, `-p=${availableParallelism()}`,
			...(tags.length === 0 ? [] : [`-tags=${tags.join(',')}`]),
			`-ldflags=-s -w -buildid= ${ldflags.replaceAll('VERSION', this.#component.version)}`,
			'-o', `${bin}/`, ...names.map(([, name]) => name),
		], cgo);
		for (const [name, goPackage] of names) {
			await rename(path.join(bin, programOf(goPackage)), path.join(this.#work.out, name));
			await chmod(path.join(this.#work.out, name), 0o755);
		}
	}

	/** Compiles the C programs that come inside the module: static, so that they run in an empty container image. */
	async compileSources(): Promise<void> {
		const sources = Object.entries(this.#component.cSources?.folders ?? {});
		if (sources.length === 0) {
			return;
		}

		const {Dir: module} = await this.#download(`${this.#go.module}@v${this.#component.version}`);
		for (const [name, place] of sources) {
			this.#work.progress(`gcc: ${name}`);
			const source = path.join(module, place);
			const scratch = path.join(this.#work.scratch, `c-${name}`);
			const isFolder = (await stat(source)).isDirectory();
			// A copy: the module cache is read-only, and compilers like to write beside their sources.
			await cp(source, isFolder ? scratch : path.join(scratch, path.basename(source)), {recursive: true});
			const files = isFolder ? ['sh', ['-c', `exec gcc -Os -static -s -D_GNU_SOURCE -DVERSION='"${this.#component.version}"' -o ../c-out ./*.c`]] as const
				: ['gcc', ['-Os', '-static', '-s', `-DVERSION=v${this.#component.version}`, '-o', '../c-out', path.basename(source)]] as const;
			await run(files[0], files[1], {cwd: scratch, log: this.#work.log, signal: this.#work.signal});
			await rename(path.join(this.#work.scratch, 'c-out'), path.join(this.#work.out, name));
			await chmod(path.join(this.#work.out, name), 0o755);
		}
	}

	async #download(module: string): Promise<DownloadedModule> {
		const {stdout} = await this.#run(['mod', 'download', '-json', module], false);
		return JSON.parse(stdout) as DownloadedModule;
	}

	async #run(args: readonly string[], cgo: boolean): Promise<{stdout: string}> {
		return run('go', args, {
			cwd: this.#project,
			env: {CGO_ENABLED: cgo ? '1' : '0', GOTOOLCHAIN: 'local', GOWORK: 'off', GOFLAGS: undefined},
			log: this.#work.log,
			signal: this.#work.signal,
			onLine: (line) => {
				const module = /^go: downloading (\S+ \S+)/.exec(line)?.[1];
				if (module !== undefined) {
					this.#work.progress(`downloading ${module}`);
				}
			},
		});
	}
}

/** The required modules of a go.mod (https://go.dev/ref/mod#go-mod-file-require). */
export function requirements(text: string): Array<{name: string; version: string; indirect: boolean}> {
	return [...text.matchAll(/^(?:require)?\s+([\w./~-]+\.[\w./~-]+) (v\S+)( \/\/ indirect)?$/gm)].map(([, name = '', version = '', indirect]) => ({name, version, indirect: indirect !== undefined}));
}

/**
 * Kubernetes' staging modules are parts of its own tree there, and v0.MINOR.PATCH modules for everybody else: those that a
 * go.mod replaces by ./staging, as replaces by their published version.
 */
export function stagingReplaces(text: string, version: string): string[] {
	const published = `v0.${version.split('.').slice(1).join('.')}`;
	return [...text.matchAll(/^\s*(?:replace )?(\S+) => \.\/staging\//gm)].map(([, name]) => `replace ${name} => ${name} ${published}`);
}

/** The name that `go build` gives a program: the last element of the package's path, major version suffixes apart. */
export function programOf(goPackage: string): string {
	return path.posix.basename(goPackage.replace(/\/v\d+$/, ''));
}
