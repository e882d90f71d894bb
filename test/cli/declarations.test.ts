/** What can be asked of declarations, without building or booting anything. */
import {mkdir, readFile, symlink, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import ts from 'typescript';
import {packageFolder} from '../../lab/host/folder.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {outcomeText, vmlab} from '../rig/command.ts';
import {imageFiles, overlaySource, withProject, type ProjectFiles} from '../rig/project.ts';

const scenarioSource = (overlays: readonly string[], more = ''): string => `import {defineScenario} from 'vmlab';

export default defineScenario({
	summary: 'A scenario for tests',
	lab: {machines: {node: {count: 1}}, overlays: ${JSON.stringify(overlays)}${more}},
	budget: '1m',
	async steps({step}) {
		await step('nothing', async () => {});
	},
});
`;

const project: ProjectFiles = {
	...imageFiles,
	'overlays/small/overlay.ts': overlaySource('\tsummary: \'A small overlay\',\n\toptions: {word: {default: \'hello\', summary: \'What it says\'}},\n\tfiles: ({options}) => [{path: \'/etc/small\', text: options.word}],'),
	'overlays/small/rootfs/usr/bin/small': {text: '#!/bin/sh\n', mode: 0o755},
	'scripts/small.ts': scenarioSource(['small']),
};

interface ShownPlan {
	scenario: string;
	key: string;
	machines: string[];
	stages: Array<{name: string; key: string; cached: boolean; needs: string[]}>;
}

test('a plan is the chain of stages, with what is cached', async (t) => {
	await withProject(project, async ({folder}) => {
		const env = {VMLAB_PROJECT: folder, VMLAB_CACHE_DIR: path.join(folder, 'cache')};
		const json = await vmlab(['plan', 'small', '-o', 'json'], {env});
		t.is(json.code, 0, outcomeText(json));
		const plan = JSON.parse(json.stdout) as ShownPlan;
		t.is(plan.scenario, 'small');
		t.regex(plan.key, /^[\da-f]{64}$/);
		t.deepEqual(plan.machines, ['node-1']);
		t.true(plan.stages.every(({cached}) => !cached));
		t.true(plan.stages.some(({name}) => name === 'image bookworm'));
		const names = plan.stages.map(({name}) => name);
		for (const {name, needs} of plan.stages) {
			t.true(needs.every((need) => names.indexOf(need) < names.indexOf(name)), name);
		}

		const table = await vmlab(['plan', 'small'], {env});
		t.regex(table.stdout, /^STAGE +KEY +STATE/);
		t.regex(table.stdout, /^image bookworm +[\da-f]{12} +to be made$/m);
	});
});

test('a setting changes the plan, and only a setting does', async (t) => {
	await withProject(project, async ({folder}) => {
		const env = {VMLAB_PROJECT: folder, VMLAB_CACHE_DIR: path.join(folder, 'cache')};
		const keys = await Promise.all([[], [], ['--set', 'small.word=goodbye']].map(async (words) => {
			const {stdout} = await vmlab(['plan', 'small', '-o', 'json', ...words], {env});
			return (JSON.parse(stdout) as ShownPlan).key;
		}));
		t.is(keys[0], keys[1]);
		t.not(keys[0], keys[2]);
	});
});

test('--project names the folder as VMLAB_PROJECT does', async (t) => {
	await withProject(project, async ({folder}) => {
		const {stdout, code} = await vmlab(['list', '--scenarios', '--project', folder, '-o', 'json']);
		t.is(code, 0);
		t.true((JSON.parse(stdout) as Array<{name: string}>).some(({name}) => name === 'small'));
	});
});

test('a file that cannot be read is told, and hides no other scenario', async (t) => {
	await withProject({...project, 'scripts/bad.ts': 'export default {{{'}, async ({folder}) => {
		const {code, stdout, stderr} = await vmlab(['list', '--scenarios'], {env: {VMLAB_PROJECT: folder}});
		t.is(code, 3);
		t.regex(stderr, /bad\.ts:1/);
		t.regex(stdout, /^small /m);
		t.regex(stdout, /^nat64 +@jool @unbound @jool-unbound /m);
	});
});

const wrong = test.macro(async (t, files: ProjectFiles, words: string[], code: number, expected: RegExp) => {
	await withProject({...project, ...files}, async ({folder}) => {
		const outcome = await vmlab(words, {env: {VMLAB_PROJECT: folder, VMLAB_CACHE_DIR: path.join(folder, 'cache')}});
		t.is(outcome.code, code, outcomeText(outcome));
		t.regex(outcome.stderr, expected);
		t.is(outcome.stdout, '');
	});
});

test('an unknown scenario is suggested a known one', wrong, {}, ['plan', 'smal'], 3, /no scenario `smal`[^]*Did you mean `small`/);
test('an unknown overlay is told', wrong, {'scripts/bad.ts': scenarioSource(['smalll'])}, ['plan', 'bad'], 3, /no overlay `smalll`[^]*small/);
test('an unknown option of an overlay is told', wrong, {}, ['plan', 'small', '--set', 'small.wrod=x'], 2, /wrod[^]*word/);
test('a setting that is none is told', wrong, {}, ['plan', 'small', '--set', 'nonsense'], 2, /nonsense/);
test('a file that does not parse is told with its place', wrong, {'scripts/bad.ts': 'export default {{{'}, ['plan', 'bad'], 3, /bad\.ts:1/);
test('a wrong shape is told with its place', wrong, {'scripts/bad.ts': scenarioSource(['small'], ', imgae: "x"')}, ['plan', 'bad'], 3, /imgae[^]*image/);
test('show needs a name', wrong, {}, ['overlay', 'show'], 2, /needs the name/);
test('an unknown image is told', wrong, {}, ['image', 'show', 'bookwrom'], 3, /Did you mean `bookworm`/);

test('overlays are listed, shown, and their files too', async (t) => {
	await withProject(project, async ({folder}) => {
		const env = {VMLAB_PROJECT: folder};
		const all = JSON.parse((await vmlab(['overlay', 'list', '-o', 'json'], {env})).stdout) as Array<{name: string; summary: string}>;
		t.like(all.find(({name}) => name === 'small'), {summary: 'A small overlay'});
		t.true(all.some(({name}) => name === 'kubernetes'), 'those of the package are there too');
		const shown = JSON.parse((await vmlab(['overlay', 'show', 'small', '-o', 'json'], {env})).stdout) as Record<string, unknown>;
		t.like(shown, {name: 'small', files: ['/usr/bin/small'], options: {word: {default: 'hello', summary: 'What it says'}}});
		t.regex((await vmlab(['overlay', 'files', 'small'], {env})).stdout, /^0755 +file +\/usr\/bin\/small$/m);
	});
});

test('init writes an overlay and a scenario that can be planned', async (t) => {
	await withProject(imageFiles, async ({folder}) => {
		const env = {VMLAB_PROJECT: folder, VMLAB_CACHE_DIR: path.join(folder, 'cache')};
		const written = await vmlab(['init', 'mine', '-o', 'json'], {env});
		t.is(written.code, 0, outcomeText(written));
		t.true((JSON.parse(written.stdout) as {files: string[]}).files.includes('overlays/mine/overlay.ts'));
		const plan = await vmlab(['plan', 'mine', '-o', 'json'], {env});
		t.is(plan.code, 0, outcomeText(plan));
		const again = await vmlab(['init', 'mine'], {env});
		t.is(again.code, 2, outcomeText(again));
		t.is((await vmlab(['init', 'Not a name'], {env})).code, 2);
	});
});

/** What the compiler says of a project, by its own tsconfig.json. */
function typeErrors(folder: string): string[] {
	const {fileNames, options, errors} = ts.parseJsonConfigFileContent(ts.readConfigFile(path.join(folder, 'tsconfig.json'), ts.sys.readFile).config, ts.sys, folder);
	const program = ts.createProgram(fileNames, options);
	return [...errors, ...ts.getPreEmitDiagnostics(program)].map(({messageText}) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

test('what init writes has the types of vmlab, once its dependency is installed', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const written = await vmlab(['init', 'mine'], {env: {VMLAB_PROJECT: folder}});
		t.is(written.code, 0, outcomeText(written));
		t.regex(written.stderr, /npm install$/m);
		const {type, devDependencies} = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8')) as {type: string; devDependencies: Record<string, string>};
		t.is(type, 'module');
		t.is(path.resolve(folder, devDependencies['vmlab']!.replace(/^file:/, '')), packageFolder);
		t.is(devDependencies['typescript'], ts.version, 'the compiler that vmlab is checked with');
		// As npm does for a dependency that is a folder.
		await mkdir(path.join(folder, 'node_modules'));
		await symlink(packageFolder, path.join(folder, 'node_modules/vmlab'));
		t.deepEqual(typeErrors(folder), []);
		const scenario = path.join(folder, 'scripts/mine.ts');
		await writeFile(scenario, (await readFile(scenario, 'utf8')).replace('node(\'node-1\')', 'node(1)'));
		t.regex(typeErrors(folder).join('\n'), /'number' is not assignable to parameter of type 'string'/);
	});
});

test('init says what a package.json that was there still needs', async (t) => {
	await withProject({'package.json': '{}'}, async ({folder}) => {
		const {stderr} = await vmlab(['init', 'mine'], {env: {VMLAB_PROJECT: folder}});
		t.regex(stderr, /must say "type": "module"/);
		t.regex(stderr, /npm install --save-dev \/\S+ typescript@\d/);
		t.is(await readFile(path.join(folder, 'package.json'), 'utf8'), '{}');
	});
});

test('completion knows verbs, scenarios and options', async (t) => {
	await withProject(project, async ({folder}) => {
		const env = {VMLAB_PROJECT: folder};
		const complete = async (...words: string[]) => (await vmlab(['--get-yargs-completions', 'vmlab', ...words], {env})).stdout.trim().split('\n');
		t.true((await complete('')).includes('doctor'));
		t.true((await complete('plan', '')).includes('small'));
		t.true((await complete('help', '')).includes('plan'));
		t.true((await complete('logs', '--')).includes('--follow'));
		t.true((await complete('overlay', 'show', '')).includes('small'));
		t.regex((await vmlab(['completion'], {env})).stdout, /--get-yargs-completions/);
	});
});

test('where there is nothing, that is said to people, and data is an empty list', async (t) => {
	await withTemporaryFolder(async (folder) => {
		const env = {VMLAB_STATE_DIR: path.join(folder, 'state'), VMLAB_CACHE_DIR: path.join(folder, 'cache')};
		for (const [words, said] of [
			[['list'], /^No lab runs/],
			[['cache', 'list'], /^Nothing is built yet in .*\/cache/],
			[['cache', 'verify'], /^Nothing is built yet/],
			[['cache', 'prune', '--unused', '0s'], /^Nothing in .* was unused for 0s/],
			[['down', '--all'], /^No lab runs/],
		] as Array<[string[], RegExp]>) {
			const table = await vmlab(words, {env});
			t.is(table.code, 0, outcomeText(table));
			t.is(table.stdout, '');
			t.regex(table.stderr, said);
			t.is((await vmlab([...words, '-o', 'json'], {env})).stdout, '[]\n', words.join(' '));
		}
	});
});
