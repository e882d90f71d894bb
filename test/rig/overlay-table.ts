/** The README's table of overlays, made from their manifests. */
import {packageFolder} from '../../lab/host/folder.ts';
import {listOverlays, loadOverlay} from '../../lab/spec/load.ts';
import {markdownTable} from './readme-section.ts';

/** The table as it should be. */
export async function overlayTable(): Promise<string> {
	const roots = {folders: [packageFolder]};
	const words = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ');
	return markdownTable(['overlay', 'what it gives', 'provides', 'options'], await Promise.all((await listOverlays(roots)).map(async (name) => {
		const {manifest} = await loadOverlay(name, roots);
		return [`[${name}](overlays/${name}/README.md)`, manifest.summary, words(manifest.provides ?? []), words(Object.keys(manifest.options ?? {}))];
	})));
}
