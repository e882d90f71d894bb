/** `vmlab init`: an overlay and a scenario to start from, in the user's own folder. */
import {existsSync} from 'node:fs';
import {mkdir, readFile, realpath, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {failure} from '../host/failure.ts';
import {packageFolder} from '../host/folder.ts';
import {listOverlays, listScenarios} from '../spec/load.ts';
import {print, say} from './output.ts';
import {defineVerb} from './verb.ts';

/** The files of an overlay and its scenario, by their paths in the project. The README shows those of `hello`. */
export function filesFor(name: string): Record<string, string> {
	return {
		[`overlays/${name}/overlay.ts`]: `import {defineOverlay} from 'vmlab';

export default defineOverlay({
	summary: 'What ${name} is for, in one line',
	needs: ['base'],
	options: {
		greeting: {default: 'hello', summary: 'What the machine says: --set ${name}.greeting=...'},
	},
	files: ({machine, options}) => [
		{path: '/etc/${name}.conf', text: \`\${options.greeting} from \${machine.name}\\n\`},
	],
	units: () => ['${name}.service'],
	ready: ({machine}) => [
		{sentence: \`${name} has started on \${machine.name}\`, deadline: '30s', unit: '${name}.service'},
	],
	evidence: () => [
		{name: '${name}.log', command: 'journalctl -u ${name}.service'},
	],
});
`,
		[`overlays/${name}/rootfs/usr/lib/systemd/system/${name}.service`]: `[Unit]
Description=${name}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/cat /etc/${name}.conf
`,
		[`overlays/${name}/README.md`]: `# ${name}

What it does, its options, and how it is tested: \`vmlab run ${name}\`.
`,
		[`scripts/${name}.ts`]: `import {defineScenario} from 'vmlab';

export default defineScenario({
	summary: 'A machine with ${name} says hello',
	lab: {
		machines: {node: {count: 1, memory: '512MiB'}},
		overlays: ['base', '${name}'],
	},
	budget: '1m',
	async steps({node, step, refuted}) {
		await step('${name} has said hello', async () => {
			await node('node-1').$\`journalctl -u ${name}.service | grep -F \${'hello from node-1'}\`;
		});
		await refuted('${name} has spoken for another machine', async () => node('node-1').$\`journalctl -u ${name}.service | grep -F \${'hello from node-2'}\`);
	},
});
`,
	};
}

/** The version of the compiler that vmlab itself is checked with: other ones may find other mistakes. */
async function compilerVersion(): Promise<string> {
	const {devDependencies} = JSON.parse(await readFile(path.join(packageFolder, 'package.json'), 'utf8')) as {devDependencies: Record<string, string>};
	return devDependencies['typescript']!;
}

/** The files of a project: with these `npm install` links vmlab and fetches the compiler, which finds vmlab's types. */
function projectFilesFor(project: string, compiler: string): Record<string, string> {
	const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;
	return {
		'package.json': json({type: 'module', private: true, devDependencies: {typescript: compiler, vmlab: `file:${path.relative(project, packageFolder)}`}}),
		'tsconfig.json': json({
			compilerOptions: {
				target: 'es2023', lib: ['es2023'], module: 'nodenext', types: [], strict: true, skipLibCheck: true,
				noEmit: true, allowImportingTsExtensions: true, erasableSyntaxOnly: true,
			},
			include: ['overlays', 'images', 'scripts'],
		}),
		'.gitignore': 'node_modules/\nreport/\n',
	};
}

/** What its package.json, which may have been there before, still needs done for it. */
async function adviceFor(project: string, compiler: string): Promise<string[]> {
	const {type, dependencies, devDependencies} = JSON.parse(await readFile(path.join(project, 'package.json'), 'utf8')) as {
		type?: string; dependencies?: Record<string, string>; devDependencies?: Record<string, string>;
	};
	const there = {...dependencies, ...devDependencies};
	const missing = [...(there['vmlab'] === undefined ? [packageFolder] : []), ...(there['typescript'] === undefined ? [`typescript@${compiler}`] : [])];
	return [
		...(type === 'module' ? [] : ['The package.json that is there was kept: it must say "type": "module".']),
		`For the types of vmlab in your editor, and for tsc: npm install${missing.length === 0 ? '' : ` --save-dev ${missing.join(' ')}`}`,
	];
}

export const verb = defineVerb({
	options: (command) => command.positional('name', {type: 'string', demandOption: true, describe: 'Of the overlay and its scenario'}),
	async run({name}, {output}) {
		if (!/^[a-z0-9][a-z0-9-]*$/.test(name)) {
			throw failure.usage(`\`${name}\` cannot be the name of an overlay`, 'Use lower-case letters, digits and dashes.');
		}

		const project = await realpath(process.env['VMLAB_PROJECT'] || '.');
		const taken = [...await listOverlays(), ...await listScenarios()];
		if (taken.includes(name)) {
			throw failure.usage(`There is an overlay or a scenario \`${name}\` already, which this one would hide`, 'Choose another name; nothing was written.');
		}

		if (existsSync(path.join(project, 'overlays', name)) || existsSync(path.join(project, 'scripts', `${name}.ts`))) {
			throw failure.usage(`${project} has an overlay or scenario \`${name}\` already`, 'Choose another name; nothing was written.');
		}

		const compiler = await compilerVersion();
		const written: string[] = [];
		for (const [file, text] of Object.entries({...filesFor(name), ...(project !== packageFolder && projectFilesFor(project, compiler))})) {
			const target = path.join(project, file);
			// A project that is there already keeps its own files.
			if (!existsSync(target)) {
				await mkdir(path.dirname(target), {recursive: true});
				await writeFile(target, text, {flag: 'wx'});
				written.push(file);
			}
		}

		await print(output, {project, files: written}, (result) => result.files.map((file) => `${file}\n`).join(''));
		say(`Written to ${project}. Try it there: vmlab run ${name}`);
		if (project !== packageFolder) {
			for (const line of await adviceFor(project, compiler)) {
				say(line);
			}
		}
	},
});
