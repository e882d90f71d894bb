import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {LabError} from '../../lab/host/error.ts';
import {packageFolder} from '../../lab/host/folder.ts';
import {declarationRoots, labNameOf, listImages, listOverlays, listRuns, listScenarios, loadImage, loadOverlay, loadScenario} from '../../lab/spec/load.ts';
import {imageFiles, overlaySource, type ProjectFiles, withProject} from '../rig/project.ts';

const scenarioSource = (lab: string): string => `import {defineScenario} from 'vmlab';

export default defineScenario({
	summary: 'A scenario for tests',
	lab: ${lab},
	budget: '1m',
	async steps() {},
});
`;

/** How loading the overlay \`x\` of these files is refused. */
async function refusal(t: ExecutionContext, files: ProjectFiles): Promise<{error: LabError; folder: string}> {
	return withProject(files, async ({folder, roots}) => {
		const error = await t.throwsAsync(loadOverlay('x', roots), {instanceOf: LabError});
		t.is(error!.exitCode, 3);
		return {error: error!, folder};
	});
}

test('an overlay is loaded with its manifest, its tree and its Go modules', async (t) => {
	await withProject({
		'overlays/x/overlay.ts': overlaySource('\tsummary: \'An overlay for tests\',\n\tneeds: [\'base\'],'),
		'overlays/x/rootfs/usr/bin/x': {text: '#!/bin/sh', mode: 0o755},
		'overlays/x/rootfs/etc/x': {link: '/usr/bin/x'},
		'overlays/x/go.mod': 'module x',
		'overlays/x/tool/go.sum': 'sum',
		'overlays/x/README.md': 'x',
	}, async ({folder, roots, write}) => {
		const overlay = await loadOverlay('x', roots);
		t.like(overlay, {name: 'x', folder: path.join(folder, 'overlays/x'), manifest: {summary: 'An overlay for tests', needs: ['base']}});
		t.deepEqual(overlay.tree.map((entry) => [entry.path, entry.kind]), [['etc', 'folder'], ['etc/x', 'link'], ['usr', 'folder'], ['usr/bin', 'folder'], ['usr/bin/x', 'file']]);
		t.is(overlay.tree.at(-1)!.mode, 0o755);
		await write({'overlays/x/tool/go.sum': 'another'});
		t.not((await loadOverlay('x', roots)).goDigest, overlay.goDigest);
		await write({'overlays/x/README.md': 'another'});
		t.deepEqual((await loadOverlay('x', roots)).tree, overlay.tree);
	});
});

test('an overlay needs only a folder with its file', async (t) => {
	await withProject({'overlays/x/overlay.ts': overlaySource('\tsummary: \'x\',')}, async ({roots}) => {
		const overlay = await loadOverlay('x', roots);
		t.deepEqual(overlay.tree, []);
		t.is(overlay.goDigest, undefined);
	});
});

test('overlays, images and scenarios are listed by name', async (t) => {
	await withProject({
		...imageFiles,
		'overlays/b/overlay.ts': '', 'overlays/a/overlay.ts': '', 'overlays/empty/README.md': '', 'overlays/Wrong/overlay.ts': '',
		'scripts/two.ts': '', 'scripts/one.ts': '', 'scripts/labs/shared.ts': '', 'scripts/notes.md': '',
	}, async ({roots}) => {
		t.deepEqual(await listOverlays(roots), ['a', 'b']);
		t.deepEqual(await listImages(roots), ['bookworm']);
		t.deepEqual(await listScenarios(roots), ['one', 'two']);
	});
});

test('a scenario comes with its lab, which may be in a file that several share', async (t) => {
	await withProject({
		...imageFiles,
		'scripts/labs/small.ts': 'import {defineLab} from \'vmlab\';\nexport const small = defineLab({machines: {node: {count: 1}}, overlays: []});\n',
		'scripts/one.ts': `import {small} from './labs/small.ts';\n${scenarioSource('small')}`,
	}, async ({roots}) => {
		const {scenario, name, file} = await loadScenario('one', roots);
		t.is(name, 'one');
		t.regex(file, /scripts\/one\.ts$/);
		t.deepEqual(scenario.lab, {machines: {node: {count: 1}}, overlays: []});
		t.is(scenario.budget, '1m');
		t.like(await loadImage('bookworm', roots), {name: 'bookworm', image: {release: 'bookworm'}});
	});
});

const variants = `import {defineScenario} from 'vmlab';
export default defineScenario({
	summary: 'one', budget: '1m', lab: {machines: {node: {count: 1}}, overlays: [], options: {a: {x: 1, y: 2}}},
	variants: {more: {a: {y: 3}, b: {z: true}}},
	async steps() {},
});
`;

test('a variant of a scenario is that scenario with other options in its lab', async (t) => {
	await withProject({...imageFiles, 'scripts/one.ts': variants, 'scripts/two.ts': scenarioSource('{machines: {node: {count: 1}}, overlays: []}')}, async ({roots}) => {
		const {name, scenario} = await loadScenario('one@more', roots);
		t.is(name, 'one@more');
		t.is(labNameOf(name), 'one-more');
		t.deepEqual(scenario.lab.options, {a: {x: 1, y: 3}, b: {z: true}});
		t.deepEqual((await loadScenario('one', roots)).scenario.lab.options, {a: {x: 1, y: 2}});
		t.deepEqual(await listRuns(roots), ['one', 'one@more', 'two']);
		t.like(await t.throwsAsync(loadScenario('one@mere', roots)), {code: 'unknown-variant', exitCode: 3, hint: 'Did you mean `more`?'});
		t.like(await t.throwsAsync(loadScenario('two@more', roots)), {code: 'unknown-variant', hint: 'It has none.'});
		t.like(await t.throwsAsync(loadScenario('one@more@more', roots)), {code: 'unknown-scenario'});
	});
});

test('the user\'s folder comes before the package', async (t) => {
	await withProject({'overlays/x/overlay.ts': overlaySource('\tsummary: \'mine\',')}, async (mine) => {
		await withProject({'overlays/x/overlay.ts': overlaySource('\tsummary: \'theirs\','), 'overlays/y/overlay.ts': overlaySource('\tsummary: \'only theirs\',')}, async (theirs) => {
			const roots = {folders: [mine.folder, theirs.folder]};
			t.is((await loadOverlay('x', roots)).manifest.summary, 'mine');
			t.is((await loadOverlay('y', roots)).manifest.summary, 'only theirs');
			t.deepEqual(await listOverlays(roots), ['x', 'y']);
		});
	});
});

test('the user\'s folder is VMLAB_PROJECT, or the working folder, where it has declarations', async (t) => {
	await withProject({'overlays/x/overlay.ts': ''}, async ({folder}) => {
		t.deepEqual(declarationRoots({}, folder).folders, [folder, packageFolder]);
		t.deepEqual(declarationRoots({VMLAB_PROJECT: folder}, '/').folders, [folder, packageFolder]);
		t.deepEqual(declarationRoots({VMLAB_PROJECT: 'overlays'}, folder).folders, [packageFolder]);
		t.deepEqual(declarationRoots({}, packageFolder).folders, [packageFolder]);
	});
});

test('an unknown name is refused, with the one that was likely meant', async (t) => {
	await withProject({'overlays/etcd/overlay.ts': '', 'overlays/base/overlay.ts': ''}, async ({roots}) => {
		t.like(await t.throwsAsync(loadOverlay('etdc', roots)), {code: 'unknown-overlay', exitCode: 3, hint: 'Did you mean `etcd`? Known: base and etcd.'});
		t.like(await t.throwsAsync(loadScenario('one', roots)), {code: 'unknown-scenario', exitCode: 3, hint: 'No scenario is known.'});
		t.like(await t.throwsAsync(loadImage('trixie', roots)), {code: 'unknown-image', exitCode: 3});
	});
});

test('a name leads nowhere else', async (t) => {
	await withProject({'overlays/x/overlay.ts': '', 'y/overlay.ts': ''}, async ({roots}) => {
		for (const name of ['../y', '.', '..', '/etc', 'x/../../y', '']) {
			await t.throwsAsync(loadOverlay(name, roots), {code: 'unknown-overlay'}, name);
		}
	});
});

test('typos are refused all at once, each at its place', async (t) => {
	const {error, folder} = await refusal(t, {'overlays/x/overlay.ts': overlaySource('\tsummary: \'x\',\n\tneed: [\'base\'],\n\tunits: [\'x.service\'],\n\toptions: {version: {defualt: \'1\', summary: 1}},')});
	t.is(error.code, 'bad-declaration');
	t.is(error.message, 'The declaration of overlay x is wrong');
	t.deepEqual([...error.details].sort(), [
		'overlays/x/overlay.ts:5:2: `need` is not known; did you mean `needs`?',
		'overlays/x/overlay.ts:6:2: `units` must be a function',
		'overlays/x/overlay.ts:7:12: `options.version.default` is missing: it must be a text, a number or true/false',
		'overlays/x/overlay.ts:7:22: `options.version.defualt` is not known; did you mean `default`?',
		'overlays/x/overlay.ts:7:36: `options.version.summary` must be a text, not a number',
	].sort());
	t.is(error.where?.file, path.join(folder, 'overlays/x/overlay.ts'));
});

test('a file that does not parse is refused at the place', async (t) => {
	const {error, folder} = await refusal(t, {'overlays/x/overlay.ts': 'const a = 1;\nconst b: = 2;\nexport default a;\n'});
	t.is(error.code, 'broken-declaration');
	t.deepEqual(error.where, {file: path.join(folder, 'overlays/x/overlay.ts'), line: 2, column: 9});
	t.regex(error.message, /^overlays\/x\/overlay\.ts cannot be loaded: Unexpected "="/);
});

test('a file that throws is refused at the place', async (t) => {
	const {error, folder} = await refusal(t, {'overlays/x/overlay.ts': 'interface A {\n\ta: string;\n}\n\nfunction fail(): A {\n\tthrow new Error(\'no luck\');\n}\n\nexport default fail();\n'});
	t.is(error.code, 'broken-declaration');
	t.deepEqual(error.where, {file: path.join(folder, 'overlays/x/overlay.ts'), line: 6, column: 8});
	t.is(error.message, 'overlays/x/overlay.ts cannot be loaded: no luck');
});

test('a file that imports what is not there is refused', async (t) => {
	const {error} = await refusal(t, {'overlays/x/overlay.ts': 'import {a} from \'./nowhere.ts\';\nexport default a;\n'});
	t.is(error.code, 'broken-declaration');
	t.regex(error.message, /nowhere\.ts/);
	t.notRegex(error.message, /namespace=/);
});

test('a name that vmlab does not export is refused', async (t) => {
	const {error} = await refusal(t, {'overlays/x/overlay.ts': 'import {defineOverly} from \'vmlab\';\nexport default defineOverly({summary: \'x\'});\n'});
	t.is(error.code, 'broken-declaration');
	t.regex(error.message, /defineOverly/);
});

test('a file without a default export is refused', async (t) => {
	const {error} = await refusal(t, {'overlays/x/overlay.ts': 'export const a = 1;\n'});
	t.is(error.message, 'overlays/x/overlay.ts cannot be loaded: it has no default export');
	t.is(error.hint, 'End it with `export default defineOverlay({...})`.');
});

test('a folder that is no package of modules is refused with what to do', async (t) => {
	const {error, folder} = await refusal(t, {'package.json': '{}', 'overlays/x/overlay.ts': overlaySource('\tsummary: \'x\',')});
	t.is(error.hint, `The package.json of ${folder} must say "type": "module", as that of \`vmlab init\` does.`);
});

test('so is one that has vmlab installed, where its files load and export something else', async (t) => {
	const files = {'package.json': '{}', 'node_modules/vmlab': {link: packageFolder}, 'overlays/x/overlay.ts': overlaySource('\tsummary: \'x\',')};
	const {error, folder} = await refusal(t, files);
	t.is(error.message, 'overlays/x/overlay.ts cannot be loaded: it was loaded as a CommonJS module');
	t.is(error.hint, `The package.json of ${folder} must say "type": "module", as that of \`vmlab init\` does.`);
});

test('what a function throws later is told with its place', async (t) => {
	const {placeOfException} = await import('../../lab/spec/source-place.ts');
	await withProject({'overlays/x/overlay.ts': overlaySource('\tsummary: \'x\',\n\tunits() {\n\t\tthrow new Error(\'later\');\n\t},')}, async ({roots, folder}) => {
		const {manifest} = await loadOverlay('x', roots);
		const error = t.throws(() => manifest.units!(undefined as never));
		t.like(placeOfException(error, folder), {file: path.join(folder, 'overlays/x/overlay.ts'), line: 6});
	});
});
