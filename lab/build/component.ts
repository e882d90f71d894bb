/** Components: third-party programs, from the first provider that has them. */
import {chmod, mkdir, rename, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {digestFile} from '../host/digest.ts';
import {LabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {findProgram, run} from '../host/program.ts';
import type {StageRecipe} from '../plan/plan.ts';
import type {ComponentDeclaration} from '../spec/component.ts';
import type {StageWork} from '../store/store.ts';
import {provideFromDebian} from './provider/debian.ts';
import {provideFromGo} from './provider/go.ts';
import {provideFromFolder} from './provider/local.ts';
import type {Delivery, Provider, ProviderName} from './provider/provider.ts';
import {provideFromRelease} from './provider/release.ts';

/** How a component came to be here: in its stage as provenance.json. */
export interface Provenance extends Delivery {
	readonly component: string;
	readonly provider: ProviderName;
	/** Program -> hex sha256. */
	readonly programs: Readonly<Record<string, string>>;
	/** Why each provider that was asked before had nothing: `release: curl: (6) Could not resolve host`. */
	readonly passedOver: readonly string[];
}

/** The name of that file. */
export const provenanceName = 'provenance.json';

/**
 * Who is asked, in this order. A folder that the developer names is meant: nothing stands in for it. Where Debian's version
 * is asked for, whatever it is, nobody else can know which one that is.
 */
function providersOf({dir, anyDebianVersion}: ComponentDeclaration): ReadonlyArray<readonly [ProviderName, Provider]> {
	if (dir !== undefined && dir !== '') {
		return [['local', provideFromFolder]];
	}

	return anyDebianVersion === true ? [['debian', provideFromDebian]] : [['release', provideFromRelease], ['go', provideFromGo], ['debian', provideFromDebian]];
}

/**
 * Makes a component's stage: one file for each program, mode 755 and stripped, and provenance.json.
 *
 * @throws `component-missing` with what was tried and why each failed; what ends the search at once (`checksum-mismatch`,
 * `module-mismatch`, `local-build-incomplete`); `interrupted`; `disk-full`
 */
export async function makeComponent(recipe: Extract<StageRecipe, {kind: 'component'}>, work: StageWork): Promise<void> {
	const {component} = recipe;
	const passedOver: string[] = [];
	for (const [name, provide] of providersOf(component)) {
		try {
			await makeWith(name, provide, recipe, passedOver, work);
			return;
		} catch (error) {
			if (!(error instanceof LabError && error.code === 'not-provided')) {
				throw error;
			}

			passedOver.push(error.message);
			work.progress(`not from ${error.message}`);
		}
	}

	throw failure.componentMissing(component.name, component.version, ['cache: not built or fetched before', ...passedOver], work.log);
}

async function makeWith(name: ProviderName, provide: Provider, {component, folder, localDigest}: Extract<StageRecipe, {kind: 'component'}>, passedOver: readonly string[], work: StageWork): Promise<void> {
	const [out, scratch] = [path.join(work.scratch, `from-${name}`), path.join(work.scratch, name)];
	await mkdir(out);
	await mkdir(scratch);
	const {signal, log} = work;
	const delivery = await provide({
		component, folder, out, scratch, signal, log, ...(localDigest !== undefined && {localDigest}),
		progress: (text) => {
			work.progress(text);
		},
	});
	const programs: Record<string, string> = {};
	for (const {name: program} of component.programs) {
		const file = path.join(out, program);
		if (await findExecutable(file) === undefined) {
			throw failure.notProvided(name, `what it gave has no program ${program}`);
		}

		// What a developer built keeps what his debugger needs; what is built here is linked without.
		if (name === 'release' || name === 'debian') {
			await strip(file, work);
		}

		programs[program] = await digestFile(file);
		await rename(file, path.join(work.out, program));
	}

	const provenance: Provenance = {component: component.name, provider: name, ...delivery, programs, passedOver};
	await writeFile(path.join(work.out, provenanceName), `${JSON.stringify(provenance, undefined, '\t')}\n`);
}

async function findExecutable(file: string): Promise<string | undefined> {
	await chmod(file, 0o755).catch(() => {});
	return findProgram(file);
}

/** Takes symbols and debug information out of a program, where strip(1) is there; what is no ELF file stays as it is. */
async function strip(file: string, {signal, log}: StageWork): Promise<void> {
	if (await findProgram('strip') !== undefined) {
		await run('strip', ['--strip-unneeded', file], {signal, log, accept: [0, 1]});
	}
}
