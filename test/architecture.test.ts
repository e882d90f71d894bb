/** What holds for the sources as a whole: who imports whom, which folder may use which package, names, docstrings. */
import {readdirSync, readFileSync} from 'node:fs';
import {builtinModules} from 'node:module';
import path from 'node:path';
import test from 'ava';
import ts from 'typescript';
import {packageFolder} from '../lab/host/folder.ts';

interface Source {
	/** Relative to the package: 'lab/plan/plan.ts'. */
	readonly file: string;
	readonly text: string;
	readonly tree: ts.SourceFile;
}

interface Import {
	readonly file: string;
	readonly specifier: string;
	readonly typeOnly: boolean;
	/** Of a relative import, relative to the package. */
	readonly target: string | undefined;
}

/** The TypeScript files below a folder of the package. */
function sourcesOf(folder: string): Source[] {
	return readdirSync(path.join(packageFolder, folder), {recursive: true, withFileTypes: true})
		.filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
		.map((entry) => path.relative(packageFolder, path.join(entry.parentPath, entry.name)))
		.sort()
		.map((file) => {
			const text = readFileSync(path.join(packageFolder, file), 'utf8');
			return {file, text, tree: ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)};
		});
}

function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
	visit(node);
	ts.forEachChild(node, (child) => {
		walk(child, visit);
	});
}

/** All imports of a source: static, re-exported, dynamic and in types. */
function importsOf({file, tree}: Source): Import[] {
	const imports: Import[] = [];
	const add = (node: ts.Node | undefined, typeOnly: boolean): void => {
		if (node !== undefined && ts.isStringLiteral(node)) {
			const target = node.text.startsWith('.') ? path.normalize(path.join(path.dirname(file), node.text)) : undefined;
			imports.push({file, specifier: node.text, typeOnly, target});
		}
	};

	walk(tree, (node) => {
		if (ts.isImportDeclaration(node)) {
			const bindings = node.importClause?.namedBindings;
			const named = bindings !== undefined && ts.isNamedImports(bindings) && node.importClause?.name === undefined ? bindings.elements : undefined;
			add(node.moduleSpecifier, node.importClause?.isTypeOnly === true || (named !== undefined && named.length > 0 && named.every((element) => element.isTypeOnly)));
		} else if (ts.isExportDeclaration(node)) {
			add(node.moduleSpecifier, node.isTypeOnly);
		} else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
			add(node.arguments[0], false);
		} else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
			add(node.argument.literal, true);
		}
	});
	return imports;
}

/** The place of a node, for a list of what is wrong. */
function at({file, tree}: Source, node: ts.Node): string {
	return `${file}:${tree.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
}

/** 'plan' of 'lab/plan/plan.ts'; '' of 'lab/index.ts'. */
function folderOf(file: string): string {
	const parts = file.split('/');
	return parts.length > 2 ? parts[1]! : '';
}

const lab = sourcesOf('lab');
const declarations = ['overlays', 'images', 'scripts'].flatMap(sourcesOf);
const tests = sourcesOf('test');

/** Each folder of lab/, and what it may import beside itself. */
const order = ['event', 'host', 'store', 'spec', 'plan', ['build', 'machine', 'fabric'], 'runtime', 'scenario', 'cli'].map((step) => [step].flat());
const allowed: Readonly<Record<string, readonly string[]>> = {
	...Object.fromEntries(order.flatMap((step, index) => step.map((folder) => [folder, order.slice(0, index).flat()]))),
	report: ['event'],
	cli: [...order.flat(), 'report'],
	'': ['spec', 'scenario'],
};

/** Which folders of lab/ may import a package. */
const packages: Readonly<Record<string, readonly string[]>> = {
	yargs: ['cli'],
	chalk: ['report', 'cli'],
	ssh2: ['machine'],
	execa: ['host'],
	dockerode: ['build'],
	tmp: ['host'],
	tsx: ['spec'],
	zod: ['spec'],
	zx: ['scenario'],
	'@peculiar/x509': ['runtime'],
	'reflect-metadata': ['runtime'],
	'tar-stream': ['build'],
	'ip-address': ['spec', 'plan', 'fabric'],
	xmlbuilder2: ['report'],
	yaml: [...order.flat(), 'report'],
	semver: ['build', 'host'],
};

test('imports point one way', (t) => {
	const wrong = lab.flatMap(importsOf).filter(({file, target, typeOnly}) => {
		if (target === undefined) {
			return false;
		}

		const [from, to] = [folderOf(file), folderOf(target)];
		const errorType = (from === 'event' || from === 'report') && typeOnly && target === 'lab/host/error.ts';
		return !target.startsWith('lab/') || (from !== to && !errorType && !(allowed[from] ?? []).includes(to));
	});
	t.deepEqual(wrong.map(({file, specifier}) => `${file} imports ${specifier}`), []);
});

test('every folder of lab/ has its place in the order', (t) => {
	t.deepEqual([...new Set(lab.map(({file}) => folderOf(file)))].filter((folder) => allowed[folder] === undefined), []);
});

test('a package is imported only where it belongs', (t) => {
	const wrong = lab.flatMap(importsOf).filter(({file, specifier, target}) => {
		if (target !== undefined || specifier.startsWith('node:')) {
			return false;
		}

		const name = specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
		return !(packages[name] ?? []).includes(folderOf(file));
	});
	t.deepEqual(wrong.map(({file, specifier}) => `${file} imports ${specifier}`), []);
});

test('every dependency is used, and known here', (t) => {
	const {dependencies} = JSON.parse(readFileSync(path.join(packageFolder, 'package.json'), 'utf8')) as {dependencies: Record<string, string>};
	t.deepEqual(Object.keys(dependencies).filter((name) => packages[name] === undefined), []);
	const used = lab.flatMap(importsOf).map(({specifier}) => specifier);
	t.deepEqual(Object.keys(dependencies).filter((name) => !used.some((specifier) => specifier === name || specifier.startsWith(`${name}/`))), []);
});

test('overlays import only vmlab and their own files, images and scenarios their like too', (t) => {
	const wrong = declarations.flatMap(importsOf).filter(({file, specifier, target}) => {
		const [top, name] = file.split('/');
		// A scenario shares labs and steps with others, and an image may be another one with a difference.
		const own = top === 'overlays' ? `${top}/${name}/` : `${top}/`;
		return specifier !== 'vmlab' && !target?.startsWith(own);
	});
	t.deepEqual(wrong.map(({file, specifier}) => `${file} imports ${specifier}`), []);
});

test('relative imports name their file, built-in modules have their prefix', (t) => {
	const all = [...lab, ...declarations, ...tests].flatMap(importsOf);
	t.deepEqual(all.filter(({target}) => target !== undefined && !/\.(ts|json)$/.test(target)).map(({file, specifier}) => `${file} imports ${specifier}`), []);
	t.deepEqual(all.filter(({specifier}) => builtinModules.includes(specifier)).map(({file, specifier}) => `${file} imports ${specifier}`), []);
});

test('files and folders have exact names, in kebab-case', (t) => {
	const files = [...lab, ...declarations, ...tests].map(({file}) => file);
	const vague = /(^|[/-])(utils?|helpers?|managers?|misc|common)([/.-]|$)/;
	t.deepEqual(files.filter((file) => vague.test(file)), []);
	t.deepEqual(files.filter((file) => !/^([a-z0-9]+(-[a-z0-9]+)*\/)*[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.ts$/.test(file)), []);
});

test('every exported thing has a docstring', (t) => {
	const exported = (node: ts.Node): boolean => ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some(({kind}) => kind === ts.SyntaxKind.ExportKeyword);
	const bare = [...lab, ...declarations].flatMap((source) => source.tree.statements
		.filter((statement) => exported(statement) && ts.getJSDocCommentsAndTags(statement).length === 0)
		// What a verb is for is said in the table of verbs and in its file's first lines.
		.filter((statement) => !(source.file.startsWith('lab/cli/') && /^export const verb\b/.test(statement.getText())))
		// The catalogue documents each factory by itself.
		.filter((statement) => !/^export const failure\b/.test(statement.getText()))
		.map((statement) => `${at(source, statement)} ${statement.getText().split('\n')[0]}`));
	t.deepEqual(bare, []);
});

test('every failure of the catalogue has a docstring', (t) => {
	const source = lab.find(({file}) => file === 'lab/host/failure.ts')!;
	const methods: ts.MethodDeclaration[] = [];
	walk(source.tree, (node) => {
		if (ts.isMethodDeclaration(node)) {
			methods.push(node);
		}
	});
	t.true(methods.length > 10);
	t.deepEqual(methods.filter((method) => ts.getJSDocCommentsAndTags(method).length === 0).map((method) => at(source, method)), []);
});

test('nothing waits but wait.ts', (t) => {
	const wrong = lab.filter(({file}) => file !== 'lab/host/wait.ts').flatMap((source) => {
		const places: string[] = importsOf(source).filter(({specifier}) => specifier === 'node:timers/promises').map(({file}) => `${file} imports node:timers/promises`);
		walk(source.tree, (node) => {
			if (!ts.isNewExpression(node) || node.expression.getText() !== 'Promise') {
				return;
			}

			// new Promise((resolve) => setTimeout(resolve, ...)): a timer whose only deed is to resolve.
			const executor = node.arguments?.[0];
			const resolve = executor !== undefined && (ts.isArrowFunction(executor) || ts.isFunctionExpression(executor)) ? executor.parameters[0]?.name.getText() : undefined;
			walk(node, (inner) => {
				if (resolve !== undefined && ts.isCallExpression(inner) && inner.expression.getText() === 'setTimeout' && new RegExp(String.raw`^(?:${resolve}$|\(\) => (?:\{\s*)?${resolve}\()`).test(inner.arguments[0]?.getText() ?? '')) {
					places.push(at(source, inner));
				}
			});
		});
		return places;
	});
	t.deepEqual(wrong, []);
});

test('a time limit is never a signal of AbortSignal.timeout, which Node.js 20 may forget', (t) => {
	const wrong = [...lab, ...tests].flatMap((source) => {
		const places: string[] = [];
		walk(source.tree, (node) => {
			if (ts.isPropertyAccessExpression(node) && node.getText() === 'AbortSignal.timeout') {
				places.push(at(source, node));
			}
		});
		return places;
	});
	t.deepEqual(wrong, []);
});

test('errors come from the catalogue', (t) => {
	const makers = ['lab/host/failure.ts', 'lab/host/error.ts'];
	const wrong = lab.filter(({file}) => !makers.includes(file)).flatMap((source) => {
		const places: string[] = [];
		walk(source.tree, (node) => {
			if (ts.isNewExpression(node) && node.expression.getText() === 'LabError') {
				places.push(at(source, node));
			}
		});
		return places;
	});
	t.deepEqual(wrong, []);
});

test('only host/ starts processes', (t) => {
	const wrong = lab.flatMap(importsOf).filter(({file, specifier}) => specifier === 'node:child_process' && folderOf(file) !== 'host');
	t.deepEqual(wrong.map(({file, specifier}) => `${file} imports ${specifier}`), []);
});

test('the lock file names no registry', (t) => {
	t.notRegex(readFileSync(path.join(packageFolder, 'package-lock.json'), 'utf8'), /"resolved"\s*:/);
});
