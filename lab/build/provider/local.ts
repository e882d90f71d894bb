/** The provider of a developer's own build: a folder that has all programs of the component, by their names. */
import {copyFile, stat} from 'node:fs/promises';
import path from 'node:path';
import {digestFile, digestOf} from '../../host/digest.ts';
import {failure} from '../../host/failure.ts';
import {findProgram} from '../../host/program.ts';
import type {Delivery, ProviderRequest} from './provider.ts';

/**
 * Takes the programs as they are: with what a debugger wants to know, where the developer built them so.
 *
 * @throws `not-provided` when no folder is named, `local-build-incomplete` when it lacks programs or they change meanwhile
 */
export async function provideFromFolder({component, localDigest, out, progress}: ProviderRequest): Promise<Delivery> {
	const {name: title, dir, version} = component;
	if (dir === undefined || dir === '') {
		throw failure.notProvided('local', 'no folder with a build of your own is named');
	}

	progress(`your own build in ${dir}`);
	const names = component.programs.map(({name}) => name).sort();
	const problems = (await Promise.all(names.map(async (name) => problemOf(path.resolve(dir, name), name)))).filter((problem) => problem !== undefined);
	if (problems.length > 0) {
		throw failure.localBuildIncomplete(title, dir, problems);
	}

	const sums: Array<[string, string]> = [];
	for (const name of names) {
		await copyFile(path.resolve(dir, name), path.join(out, name));
		sums.push([name, await digestFile(path.join(out, name))]);
	}

	// The stage is known by what the programs were when the plan was made.
	if (localDigest !== undefined && digestOf(sums) !== localDigest) {
		throw failure.localBuildIncomplete(title, dir, ['its programs changed while they were copied: run this again when the build is done']);
	}

	return {version, sources: Object.fromEntries(sums.map(([name, sum]) => [path.resolve(dir, name), sum]))};
}

async function problemOf(file: string, name: string): Promise<string | undefined> {
	const found = await stat(file).catch(() => undefined);
	if (found === undefined) {
		return `${name} is missing`;
	}

	return found.isFile() && await findProgram(file) !== undefined ? undefined : `${name} is not an executable file`;
}
