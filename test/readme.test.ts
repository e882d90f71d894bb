/** The README tells the truth where a test can see it. */
import {readdir, readFile, stat} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {filesFor} from '../lab/cli/init.ts';
import {packageFolder} from '../lab/host/folder.ts';
import {overlayTable} from './rig/overlay-table.ts';
import {readmeFile, readSection} from './rig/readme-section.ts';
import {scenarioTable} from './rig/scenario-table.ts';

test('the table of overlays is the one that their manifests make', async (t) => {
	t.is(await readSection('overlays'), await overlayTable(), 'run `npm run readme`');
});

test('the table of scenarios is the one that their declarations make', async (t) => {
	t.is(await readSection('scenarios'), await scenarioTable(), 'run `npm run readme`');
});

test('every file that the README links to is there', async (t) => {
	const text = await readFile(readmeFile, 'utf8');
	const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link]) => link!);
	t.true(links.length > 0);
	for (const link of links) {
		await t.notThrowsAsync(stat(path.join(packageFolder, link)), link);
	}
});

test('every test that the README names for a promise is there', async (t) => {
	const text = await readFile(readmeFile, 'utf8');
	const named = [...text.matchAll(/`(test\/[\w/.-]+\.ts)`/g)].map(([, file]) => file!);
	t.true(named.length > 5);
	for (const file of named) {
		await t.notThrowsAsync(stat(path.join(packageFolder, file)), file);
	}
});

test('the overlay and the scenario that the README shows are what `vmlab init hello` writes', async (t) => {
	const text = await readFile(readmeFile, 'utf8');
	for (const [file, written] of Object.entries(filesFor('hello')).filter(([name]) => !name.endsWith('.md'))) {
		const shown = `${file.endsWith('.service') ? '#' : '//'} ${file}\n${written}`.replaceAll('\t', '    ').replaceAll(/^(?=.)/gm, '    ');
		t.true(text.includes(shown), shown);
	}
});

test('the fixture that the README shows is the one that is tested', async (t) => {
	const tested = (await readFile(path.join(packageFolder, 'test/vm/fixture.test.ts'), 'utf8')).replace(/^.*\n/, '').replace(/\nimport \{benchFor\}.*$/s, '');
	const shown = tested.replaceAll('\t', '    ').replaceAll(/^(?=.)/gm, '    ');
	t.true((await readFile(readmeFile, 'utf8')).includes(shown), shown);
});

test('each scenario is run by `npm test`, or named among those that it leaves to others', async (t) => {
	const folders = await Promise.all(['scripts', 'test/vm'].map(async (folder) => readdir(path.join(packageFolder, folder))));
	// What must turn red has to be run as it is, too.
	const [scripts = [], tests = []] = folders.map((names) => names.filter((name) => name.endsWith('.ts') && name !== 'mutations.test.ts'));
	const tested = (await Promise.all(tests.map(async (name) => readFile(path.join(packageFolder, 'test/vm', name), 'utf8')))).join('\n');
	const left = (await readFile(readmeFile, 'utf8')).split('\n').find((line) => line.startsWith('- `npm test` leaves to'))?.split(', and all variants')[0] ?? '';
	for (const scenario of scripts.map((name) => path.basename(name, '.ts'))) {
		const isRun = new RegExp(`'run', '${scenario}'|for \\(const scenario of \\[[^\\]]*'${scenario}'`).test(tested);
		const isLeft = left.includes(`\`${scenario}\``) || (scenario.startsWith('bug-') && left.includes('`bug-*`'));
		t.true(isRun !== isLeft, `${scenario} is ${isRun ? '' : 'not '}run by test/vm, and ${isLeft ? '' : 'not '}named as left out`);
	}
});
