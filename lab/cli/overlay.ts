/** `vmlab overlay list|show|files`. */
import {declarationRoots, listOverlays, loadOverlay, type LoadedOverlay} from '../spec/load.ts';
import {failure} from '../host/failure.ts';
import {allowedValues} from '../spec/option.ts';
import {print} from './output.ts';
import {defineVerb} from './verb.ts';

/** A manifest as data: its functions are left out, what they give depends on a lab. */
function shown({name, folder, manifest, tree}: LoadedOverlay) {
	const {summary, provides = [], needs = [], options = {}, roles, packages = [], modulePackages = [], state = [], replaces = []} = manifest;
	const defaults = Object.fromEntries(Object.entries(options).map(([option, {default: value}]) => [option, value]));
	return {
		name, summary, folder, provides, needs: typeof needs === 'function' ? needs(defaults) : needs, ...(roles && {roles}), options, packages, modulePackages, state, replaces,
		components: manifest.components?.(defaults) ?? [],
		images: (manifest.images?.(defaults) ?? []).map(({reference}) => reference),
		files: tree.filter(({kind}) => kind !== 'folder').map(({path}) => `/${path}`),
	};
}

export const verb = defineVerb({
	options: (command) => command
		.positional('action', {choices: ['list', 'show', 'files'] as const, demandOption: true, describe: 'What to do'})
		.positional('name', {type: 'string', describe: 'The overlay, for show and files'}),
	async run({action, name}, {output}) {
		if (action === 'list') {
			const overlays = await Promise.all((await listOverlays()).map(async (overlay) => shown(await loadOverlay(overlay))));
			await print(output, overlays.map(({name, summary, provides, needs, folder}) => ({name, summary, provides, needs, folder})), (all) => ({
				columns: ['NAME', 'PROVIDES', 'NEEDS', 'SUMMARY'],
				rows: all.map((overlay) => [overlay.name, overlay.provides.join(' '), overlay.needs.join(' '), overlay.summary]),
			}));
			return;
		}

		if (name === undefined) {
			throw failure.usage(`\`vmlab overlay ${action}\` needs the name of an overlay`, `Known: ${(await listOverlays(declarationRoots())).join(', ')}.`);
		}

		const overlay = await loadOverlay(name);
		if (action === 'files') {
			const files = overlay.tree.map(({path, kind, mode, digest}) => ({path: `/${path}`, kind, mode: mode.toString(8).padStart(4, '0'), digest}));
			await print(output, files, (all) => ({columns: ['MODE', 'KIND', 'PATH'], rows: all.map((file) => [file.mode, file.kind, file.path])}));
			return;
		}

		await print(output, shown(overlay), (whole) => [
			`${whole.name}: ${whole.summary}`,
			`folder      ${whole.folder}`,
			`provides    ${whole.provides.join(' ')}`,
			`needs       ${whole.needs.join(' ')}`,
			`roles       ${whole.roles?.join(' ') ?? 'all'}`,
			`packages    ${whole.packages.join(' ')}`,
			`modules     ${whole.modulePackages.join(' ')}`,
			`components  ${whole.components.map((component) => `${component.name} ${component.version}`).join(', ')}`,
			`images      ${whole.images.join(' ')}`,
			`state       ${whole.state.join(' ')}`,
			'options',
			...Object.entries(whole.options).map(([name, option]) => `  ${name}=${option.default}  ${option.summary}${allowedValues(option) === undefined ? '' : ` (${allowedValues(option)})`}`),
			'files',
			...whole.files.map((file) => `  ${file}`),
		].map((line) => `${line.trimEnd()}\n`).join(''));
	},
});
