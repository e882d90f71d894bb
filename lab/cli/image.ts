/** `vmlab image list|show`. */
import {failure} from '../host/failure.ts';
import {listImages, loadImage} from '../spec/load.ts';
import {print} from './output.ts';
import {defineVerb} from './verb.ts';

export const verb = defineVerb({
	options: (command) => command
		.positional('action', {choices: ['list', 'show'] as const, demandOption: true, describe: 'What to do'})
		.positional('name', {type: 'string', describe: 'The image, for show'}),
	async run({action, name}, {output}) {
		const names = await listImages();
		if (action === 'list') {
			const images = await Promise.all(names.map(async (image) => {
				const {image: {summary, release, kernel}, file} = await loadImage(image);
				return {name: image, release, kernel, summary, file};
			}));
			await print(output, images, (all) => ({columns: ['NAME', 'RELEASE', 'KERNEL', 'SUMMARY'], rows: all.map((image) => [image.name, image.release, image.kernel, image.summary])}));
			return;
		}

		if (name === undefined) {
			throw failure.usage('`vmlab image show` needs the name of an image', `Known: ${names.join(', ')}.`);
		}

		const {image, file} = await loadImage(name);
		await print(output, {name, file, ...image}, (whole) => [
			`${whole.name}: ${whole.summary}`,
			`file      ${whole.file}`,
			`release   ${whole.release}`,
			`kernel    ${whole.kernel}`,
			`packages  ${whole.packages.join(' ')}`,
			`modules   ${whole.bootModules.join(' ')}`,
			`masked    ${(whole.mask ?? []).join(' ')}`,
			`append    ${(whole.kernelArguments ?? []).join(' ')}`,
		].map((line) => `${line.trimEnd()}\n`).join(''));
	},
});
