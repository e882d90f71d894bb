/** Names that no lab can have, on the command line: told before anything is built. */
import path from 'node:path';
import test from 'ava';
import {vmlab} from '../rig/command.ts';
import {imageFiles, withProject} from '../rig/project.ts';

const files = {
	...imageFiles,
	'overlays/small/overlay.ts': 'import {defineOverlay} from \'vmlab\';\nexport default defineOverlay({summary: \'small\'});\n',
	'scripts/small.ts': `import {defineScenario} from 'vmlab';
export default defineScenario({summary: 'small', lab: {machines: {node: {count: 1}}, overlays: ['small']}, budget: '1m', async steps() {}});
`,
	// Whoever begins to build fails.
	'bin/mmdebstrap': {text: '#!/bin/sh\n[ "$1" = --unshare-helper ] && exit 0\nexit 1\n', mode: 0o755},
};

for (const words of [['up', 'small', '--name', 'Not_A_Name'], ['up', 'small', '--name', 'a'.repeat(31)], ['fork', 'kept', '--lab', 'Not_A_Name']]) {
	test(`vmlab ${words.join(' ')} is refused before anything is built`, async (t) => {
		await withProject(files, async ({folder}) => {
			const outcome = await vmlab(words, {
				cwd: folder,
				env: {
					VMLAB_PROJECT: folder, VMLAB_CACHE_DIR: path.join(folder, 'cache'), VMLAB_STATE_DIR: path.join(folder, 'state'),
					PATH: `${path.join(folder, 'bin')}:${process.env['PATH'] ?? ''}`,
				},
			});
			t.is(outcome.code, 2, outcome.stderr);
			t.regex(outcome.stderr, /A lab cannot be named/);
		});
	});
}
