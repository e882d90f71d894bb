/** `vmlab version`: of vmlab, and of what it runs on. */
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import {packageFolder} from '../host/folder.ts';
import {print} from './output.ts';
import {defineVerb} from './verb.ts';

export const verb = defineVerb({
	options: (command) => command,
	async run(_args, {output}) {
		const {version} = JSON.parse(await readFile(path.join(packageFolder, 'package.json'), 'utf8')) as {version: string};
		await print(output, {vmlab: version, node: process.versions.node}, (versions) => `vmlab ${versions.vmlab}, Node.js ${versions.node}\n`);
	},
});
