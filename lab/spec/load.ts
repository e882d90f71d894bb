/**
 * Declarations by name: from the user's own folder first, then from the package. The only place that runs users' code
 * before there is a plan.
 */
import {existsSync} from 'node:fs';
import {readdir, readFile} from 'node:fs/promises';
import path from 'node:path';
import {pathToFileURL} from 'node:url';
import {type DigestedEntry, digestFile, digestOf, digestTree} from '../host/digest.ts';
import {LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {packageFolder} from '../host/folder.ts';
import type {ImageDeclaration} from './image.ts';
import type {LabDeclaration} from './lab.ts';
import type {MutationOf} from './mutation.ts';
import type {OverlayDeclaration} from './overlay.ts';
import {problemsOf, type Shape} from './schema.ts';
import {placeOfException, placeOfKeys, showPlace} from './source-place.ts';
import type {Duration} from './units.ts';

/** Where declarations are looked for, in this order; each folder may have overlays/, images/ and scripts/. */
export interface DeclarationRoots {
	readonly folders: readonly string[];
}

/** An overlay as it was found. */
export interface LoadedOverlay {
	readonly name: string;
	readonly folder: string;
	readonly file: string;
	readonly manifest: OverlayDeclaration;
	/** What its rootfs/ has; empty where there is none. */
	readonly tree: readonly DigestedEntry[];
	/** Hex sha256 of all go.mod and go.sum files; undefined where there are none. */
	readonly goDigest?: string;
}

/** An image as it was found. */
export interface LoadedImage {
	readonly name: string;
	readonly file: string;
	readonly image: ImageDeclaration;
}

/** A scenario as it was found. Its type is that of `defineScenario`, which this folder does not see. */
export interface LoadedScenario {
	/** With its variant, where one is meant: 'ipv4@ipvs'. */
	readonly name: string;
	readonly file: string;
	/** With the variant's options in its lab. */
	readonly scenario: {
		readonly summary: string;
		readonly lab: LabDeclaration;
		readonly budget: Duration;
		readonly steps: (context: any) => Promise<void>;
		readonly mutation?: MutationOf<any>;
		readonly variants?: Readonly<Record<string, NonNullable<LabDeclaration['options']>>>;
	};
}

/**
 * The user's folder, where it has declarations, and the package. The user's is `VMLAB_PROJECT`, else the working folder.
 */
export function declarationRoots(environment: NodeJS.ProcessEnv = process.env, workingFolder: string = process.cwd()): DeclarationRoots {
	const user = path.resolve(workingFolder, environment['VMLAB_PROJECT'] || '.');
	const hasDeclarations = ['overlays', 'images', 'scripts'].some((folder) => existsSync(path.join(user, folder)));
	return {folders: hasDeclarations && user !== packageFolder ? [user, packageFolder] : [packageFolder]};
}

type Kind = 'overlay' | 'image' | 'scenario';

/** The file of a declaration, relative to its root. */
function fileOf(kind: Kind, name: string): string {
	return kind === 'scenario' ? `scripts/${name}.ts` : `${kind}s/${name}/${kind}.ts`;
}

/** Between the names of a scenario and of a variant of it. */
const variantMark = '@';
/** Names in a file system: nothing that leads out of the folder. */
const namePattern = /^[a-z0-9][a-z0-9-]*$/;

async function list(kind: Kind, {folders}: DeclarationRoots): Promise<string[]> {
	const found = await Promise.all(folders.map(async (root) => {
		const parent = path.join(root, kind === 'scenario' ? 'scripts' : `${kind}s`);
		const entries = await readdir(parent, {withFileTypes: true}).catch(() => []);
		const names = entries.map((entry) => (kind === 'scenario' ? (/^(.*)\.ts$/.exec(entry.name)?.[1] ?? '') : entry.name));
		return names.filter((name) => namePattern.test(name) && existsSync(path.join(root, fileOf(kind, name))));
	}));
	return [...new Set(found.flat())].sort();
}

/** The names of all overlays, sorted. */
export async function listOverlays(roots: DeclarationRoots = declarationRoots()): Promise<string[]> {
	return list('overlay', roots);
}

/** The names of all images, sorted. */
export async function listImages(roots: DeclarationRoots = declarationRoots()): Promise<string[]> {
	return list('image', roots);
}

/** The names of all scenarios, sorted. The folders below scripts/, such as labs/, hold none. */
export async function listScenarios(roots: DeclarationRoots = declarationRoots()): Promise<string[]> {
	return list('scenario', roots);
}

type Importer = (url: string) => Promise<{default?: unknown}>;
let importer: Promise<Importer> | undefined;

/**
 * tsx, when the first file is loaded: a command that loads none does not pay for it. What a file outside the package
 * imports as 'vmlab' is this very package, installed there or not.
 */
async function startImporter(): Promise<Importer> {
	const [{register}, nodeModule] = await Promise.all([import('tsx/esm/api'), import('node:module')]);
	const scope = register({namespace: 'vmlab', tsconfig: false});
	const self = JSON.stringify(import.meta.resolve('vmlab'));
	const hook = `export const resolve = (specifier, context, next) => specifier === 'vmlab' ? {url: ${self}, format: 'module', shortCircuit: true} : next(specifier, context);`;
	nodeModule.register(`data:text/javascript,${encodeURIComponent(hook)}`);
	return async (url) => scope.import(url, import.meta.url) as Promise<{default?: unknown}>;
}

/** A file's default export, checked against a shape. Throws a declaration error with the place of what is wrong. */
async function importDeclaration(kind: Kind, root: string, relative: string): Promise<unknown> {
	const file = path.join(root, relative);
	importer ??= startImporter();
	let exported;
	try {
		exported = (await (await importer)(pathToFileURL(file).href)).default;
	} catch (error) {
		throw brokenBy(error, root, file);
	}

	if (isOfCommonJs(exported)) {
		throw failure.brokenDeclaration(relative, 'it was loaded as a CommonJS module', {file}, sayModule(root));
	}

	if (exported === undefined) {
		const define = `define${kind.charAt(0).toUpperCase()}${kind.slice(1)}`;
		throw failure.brokenDeclaration(relative, 'it has no default export', {file}, `End it with \`export default ${define}({...})\`.`);
	}

	await checkShape(kind, exported, `${kind} ${path.basename(kind === 'scenario' ? relative : path.dirname(relative), '.ts')}`, root, file);
	return exported;
}

/** Whether a default export is what a compiler makes of a whole ES module for `require`: what the file exports is within. */
function isOfCommonJs(exported: unknown): boolean {
	return typeof exported === 'object' && exported !== null && '__esModule' in exported;
}

/** What to do where files of a project are not taken for ES modules. */
function sayModule(root: string): string {
	return `The package.json of ${root} must say "type": "module", as that of \`vmlab init\` does.`;
}

async function checkShape(shape: Shape, value: unknown, what: string, root: string, file: string): Promise<void> {
	const problems = problemsOf(shape, value);
	if (problems.length === 0) {
		return;
	}

	const source = await readFile(file, 'utf8');
	const places = problems.map(({keys}) => placeOfKeys(file, source, keys));
	throw failure.badDeclaration(
		what,
		problems.map(({text}, index) => `${showPlace(places[index]!, root)}: ${text}`),
		places.find(({line}) => line !== undefined) ?? places[0],
	);
}

/** What a user's file threw while it was loaded, as a declaration error with the place. */
function brokenBy(error: unknown, root: string, file: string): LabError {
	if (error instanceof LabError) {
		return error;
	}

	const raw = error instanceof Error ? error.message : String(error);
	// esbuild: "Transform failed with 1 error:", then "FILE:LINE:COLUMN: ERROR: text" for each.
	const compiler = /ERROR: (.*)$/m.exec(raw)?.[1];
	const reason = (compiler ?? raw.split('\n')[0] ?? '').replaceAll(/\?namespace=[^\s'"`]*/g, '');
	const hint = /Cannot find module 'vmlab'/.test(raw) ? sayModule(root) : undefined;
	return failure.brokenDeclaration(path.relative(root, file), reason, placeOfException(error, root) ?? {file}, hint, error);
}

async function locate(kind: Kind, name: string, roots: DeclarationRoots): Promise<{root: string; relative: string; file: string}> {
	const relative = fileOf(kind, name);
	const root = namePattern.test(name) ? roots.folders.find((folder) => existsSync(path.join(folder, relative))) : undefined;
	if (root === undefined) {
		throw failure.unknownName(kind, name, await list(kind, roots));
	}

	return {root, relative, file: path.join(root, relative)};
}

/** The digest of all go.mod and go.sum files of an overlay, by their paths. */
async function digestGoModules(folder: string): Promise<string | undefined> {
	const entries = await readdir(folder, {recursive: true, withFileTypes: true});
	const files = entries
		.filter((entry) => entry.isFile() && (entry.name === 'go.mod' || entry.name === 'go.sum'))
		.map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
		.filter((file) => !file.startsWith(`rootfs${path.sep}`))
		.sort();
	return files.length === 0 ? undefined : digestOf(await Promise.all(files.map(async (file) => [file, await digestFile(path.join(folder, file))])));
}

/**
 * Loads an overlay: its manifest, what its rootfs/ has, and the digest of its Go modules.
 *
 * @throws `unknown-overlay`, `broken-declaration`, `bad-declaration` with all problems of its shape
 */
export async function loadOverlay(name: string, roots: DeclarationRoots = declarationRoots()): Promise<LoadedOverlay> {
	const {root, relative, file} = await locate('overlay', name, roots);
	const folder = path.dirname(file);
	const [manifest, tree, goDigest] = await Promise.all([
		importDeclaration('overlay', root, relative) as Promise<OverlayDeclaration>,
		digestTree(path.join(folder, 'rootfs')),
		digestGoModules(folder),
	]);
	return {name, folder, file, manifest, tree, ...(goDigest !== undefined && {goDigest})};
}

/** Loads an image. Throws as loadOverlay does. */
export async function loadImage(name: string, roots: DeclarationRoots = declarationRoots()): Promise<LoadedImage> {
	const {root, relative, file} = await locate('image', name, roots);
	return {name, file, image: await importDeclaration('image', root, relative) as ImageDeclaration};
}

/** Loads a scenario, and with it its lab; of `NAME@VARIANT` that variant. Throws as loadOverlay does, and `unknown-variant`. */
export async function loadScenario(name: string, roots: DeclarationRoots = declarationRoots()): Promise<LoadedScenario> {
	const [base = '', variant, ...rest] = name.split(variantMark);
	const {root, relative, file} = await locate('scenario', rest.length > 0 ? name : base, roots);
	const scenario = await importDeclaration('scenario', root, relative) as LoadedScenario['scenario'];
	if (variant === undefined) {
		return {name, file, scenario};
	}

	const chosen = scenario.variants?.[variant];
	if (chosen === undefined) {
		throw failure.unknownVariant(base, variant, Object.keys(scenario.variants ?? {}));
	}

	const {lab} = scenario;
	const overlays = new Set([...Object.keys(lab.options ?? {}), ...Object.keys(chosen)]);
	const options = Object.fromEntries([...overlays].map((overlay) => [overlay, {...lab.options?.[overlay], ...chosen[overlay]}]));
	return {name, file, scenario: {...scenario, lab: {...lab, options}}};
}

/** What the lab of a scenario, or of a variant, is called where nobody says: 'ipv4-ipvs' for 'ipv4@ipvs'. */
export function labNameOf(scenario: string): string {
	return scenario.replaceAll(variantMark, '-');
}

/** All that can be run: each scenario, and each of its variants after it. Throws as loadScenario does. */
export async function listRuns(roots: DeclarationRoots = declarationRoots()): Promise<string[]> {
	const loaded = await Promise.all((await listScenarios(roots)).map(async (name) => loadScenario(name, roots)));
	return loaded.flatMap(({name, scenario}) => [name, ...Object.keys(scenario.variants ?? {}).map((variant) => `${name}${variantMark}${variant}`)]);
}
