/** The developer's own build: a folder that has all programs of the component, by their names. */
import {chmod, copyFile} from 'node:fs/promises';
import path from 'node:path';
import {findProgram} from '../../host/program.ts';
import {type Answer, type Delivery, lacks, type Provider} from './provider.ts';

/** Takes the programs from `component.dir`. */
export const localProvider: Provider = {
	name: 'local',
	async deliver({component, work}: Delivery): Promise<Answer> {
		const {dir, programs} = component;
		if (dir === undefined || dir === '') {
			return lacks('no folder with an own build was named');
		}

		const files = programs.map(({name}) => ({name, file: path.resolve(dir, name)}));
		const missing: string[] = [];
		for (const {name, file} of files) {
			if ((await findProgram(file)) === undefined) {
				missing.push(name);
			}
		}

		if (missing.length > 0) {
			return lacks(`${dir} has no executable ${missing.join(', ')}`);
		}

		for (const {name, file} of files) {
			await copyFile(file, path.join(work.out, name));
			await chmod(path.join(work.out, name), 0o755);
		}

		return {delivered: true, origin: dir};
	},
};
