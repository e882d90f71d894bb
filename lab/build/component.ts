/** Components: third-party programs, from the first provider that has them. */
import {stat, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {digestFile} from '../host/digest.ts';
import {asLabError} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import type {StageRecipe} from '../plan/plan.ts';
import type {ComponentDeclaration} from '../spec/component.ts';
import type {StageWork} from '../store/store.ts';
import {debianProvider} from './provider/debian.ts';
import {goProvider} from './provider/go.ts';
import {localProvider} from './provider/local.ts';
import type {Provider} from './provider/provider.ts';
import {releaseProvider} from './provider/release.ts';

/** How a component came to be here; in the stage as provenance.json. */
export interface Provenance {
	readonly component: string;
	readonly version: string;
	readonly provider: string;
	readonly origin: string;
	/** Program -> hex sha256. */
	readonly programs: Readonly<Record<string, string>>;
	/** Why the providers before it did not have it: `release: no network`. */
	readonly passedOver: readonly string[];
}

/** The order in which providers are asked. A build that the developer named is meant: nothing else stands in for it. */
function providersOf({dir, anyDebianVersion}: ComponentDeclaration): readonly Provider[] {
	if (dir !== undefined && dir !== '') {
		return [localProvider];
	}

	return anyDebianVersion ? [debianProvider] : [releaseProvider, goProvider, debianProvider];
}

/**
 * Makes a component's stage: one file for each program, and provenance.json.
 *
 * @throws `component-missing` (exit code 5) with what was tried and why each failed; `interrupted`; `disk-full`
 */
export async function makeComponent({component, folder}: Extract<StageRecipe, {kind: 'component'}>, work: StageWork): Promise<void> {
	const passedOver: string[] = [];
	for (const provider of providersOf(component)) {
		let reason: string;
		try {
			const answer = await provider.deliver({component, folder, work});
			if (answer.delivered) {
				await record(component, work, {provider: provider.name, origin: answer.origin, passedOver});
				return;
			}

			reason = answer.reason;
		} catch (error) {
			work.signal.throwIfAborted();
			const problem = asLabError(error);
			if (problem.code === 'disk-full' || problem.kind === 'bug') {
				throw problem;
			}

			const last = problem.details.at(-1);
			reason = last === undefined ? problem.message : `${problem.message}: ${last}`;
		}

		passedOver.push(`${provider.name}: ${reason}`);
		work.progress(`not from ${provider.name}: ${reason}`);
	}

	throw failure.componentMissing(component.name, component.version, passedOver, work.log);
}

/** Checks that every program is there, and writes down where they came from. */
async function record(component: ComponentDeclaration, work: StageWork, found: Pick<Provenance, 'provider' | 'origin' | 'passedOver'>): Promise<void> {
	const programs: Record<string, string> = {};
	for (const {name} of component.programs) {
		const file = path.join(work.out, name);
		if (!(await stat(file).catch(() => undefined))?.isFile()) {
			throw failure.componentMissing(component.name, component.version, [...found.passedOver, `${found.provider}: it has no program ${name}`], work.log);
		}

		programs[name] = await digestFile(file);
	}

	const provenance: Provenance = {component: component.name, version: component.version, ...found, programs};
	await writeFile(path.join(work.out, 'provenance.json'), `${JSON.stringify(provenance, undefined, '\t')}\n`);
}
