/** `vmlab kubeconfig`: a lab's private kubeconfig, printed or merged into the user's own. */
import {chmod, mkdir, open, readFile, readlink, rm, stat} from 'node:fs/promises';
import {homedir} from 'node:os';
import path from 'node:path';
import {parse, stringify} from 'yaml';
import {failure} from '../host/failure.ts';
import {labFolder} from '../host/folder.ts';
import {writeFileWhole} from '../host/whole-file.ts';
import {chooseLab} from './lab-choice.ts';
import {print, say} from './output.ts';
import {defineVerb} from './verb.ts';

/** The parts of a kubeconfig that are lists of named things. */
const lists = ['clusters', 'users', 'contexts'] as const;

type Named = {name: string} & Record<string, unknown>;

interface KubeConfig {
	'current-context'?: string;
	clusters?: Named[];
	users?: Named[];
	contexts?: Named[];
	[key: string]: unknown;
}

/** The kubeconfig of a running lab. Throws `no-cluster` where it has none. */
export async function readKubeconfig(lab: string): Promise<string> {
	const text = await readFile(path.join(labFolder(lab), 'kubeconfig'), 'utf8').catch(() => undefined);
	if (text === undefined) {
		throw failure.noCluster(lab, 'kubeconfig');
	}

	return text;
}

/** What a lab is called in the user's own kubeconfig: its cluster, user and context. */
function nameOf(lab: string): string {
	return `vmlab-${lab}`;
}

/** Under what a lab's context keeps which context was current before, in its `extensions` (clientcmd/api/v1, NamedExtension): kubectl keeps those. */
const extensionName = 'vmlab';

interface FormerExtension {
	readonly name: string;
	readonly extension?: {readonly formerContext?: string};
}

/** The extensions of a context, none where it has none that can be read. */
function extensionsOf(context: Named): FormerExtension[] {
	const found = (context['context'] as {extensions?: unknown} | undefined)?.extensions;
	return Array.isArray(found) ? found as FormerExtension[] : [];
}

/** Which context was current before that of a lab was merged; undefined where none was. */
function formerOf({contexts}: KubeConfig, name: string): string | undefined {
	const context = contexts?.find((entry) => entry.name === name);
	return context && extensionsOf(context).find((extension) => extension.name === extensionName)?.extension?.formerContext;
}

/** The context with another one as that of before; without any where there was none. */
function withFormer(context: Named, former: string | undefined): Named {
	const {extensions: _extensions, ...rest} = (context['context'] ?? {}) as {extensions?: unknown};
	const extensions: FormerExtension[] = [
		...extensionsOf(context).filter((extension) => extension.name !== extensionName),
		...(former === undefined ? [] : [{name: extensionName, extension: {formerContext: former}}]),
	];
	return {...context, context: {...rest, ...(extensions.length > 0 && {extensions})}};
}

/**
 * The user's kubeconfig with a lab's in it, all of whose names become `vmlab-LAB`. Other entries and the rest are kept. The lab's context becomes the
 * current one, and remembers which it was before.
 */
export function mergeKubeconfig(mine: string, labs: string, lab: string): string {
	const target = (parse(mine) ?? {apiVersion: 'v1', kind: 'Config', preferences: {}}) as KubeConfig;
	const source = parse(labs) as KubeConfig;
	const name = nameOf(lab);
	const current = target['current-context'] || undefined;
	const former = current === name ? formerOf(target, name) : current;
	for (const list of lists) {
		const entry = source[list]?.[0];
		if (entry !== undefined) {
			const renamed = list === 'contexts' ? withFormer({...entry, name, context: {...(entry['context'] as object), cluster: name, user: name}}, former) : {...entry, name};
			target[list] = [...(target[list] ?? []).filter((other) => other.name !== name), renamed];
		}
	}

	target['current-context'] = name;
	return stringify(target, {compat: 'yaml-1.1'});
}

/**
 * The user's kubeconfig without a lab's entries. Where its context was the current one, that of before is again, or none where that is gone. Contexts of
 * other labs that remember it remember that one instead.
 */
export function unmergeKubeconfig(mine: string, lab: string): string {
	const target = parse(mine) as KubeConfig | null;
	if (target === null) {
		return mine;
	}

	const name = nameOf(lab);
	const former = formerOf(target, name);
	for (const list of lists) {
		if (target[list] !== undefined && target[list] !== null) {
			target[list] = target[list].filter((entry) => entry.name !== name);
		}
	}

	if (target.contexts?.some((context) => formerOf(target, context.name) === name)) {
		target.contexts = target.contexts.map((context) => (formerOf(target, context.name) === name ? withFormer(context, former) : context));
	}

	if (target['current-context'] === name) {
		target['current-context'] = target.contexts?.some((context) => context.name === former) ? former! : '';
	}

	return stringify(target, {compat: 'yaml-1.1'});
}

/** The user's own kubeconfig: the first that `KUBECONFIG` names, else kubectl's default. */
export function ownKubeconfig(environment: NodeJS.ProcessEnv = process.env): string {
	return environment['KUBECONFIG']?.split(':').find((entry) => entry !== '') ?? path.join(environment['HOME'] || homedir(), '.kube/config');
}

/**
 * Changes the user's own kubeconfig: the file that a link leads to, with the permissions that it has, whole or not at all, and
 * not while kubectl does (its lock is a file beside it).
 *
 * @throws `locked`, `usage` for a file that is no kubeconfig
 */
export async function changeKubeconfig(named: string, change: (mine: string) => string): Promise<void> {
	const file = await followLinks(path.resolve(named));
	await mkdir(path.dirname(file), {recursive: true, mode: 0o700});
	// As kubectl makes it (client-go, tools/clientcmd/config.go): where a link leads, kubectl locks the link's own name.
	const lock = `${path.resolve(named)}.lock`;
	await (await open(lock, 'wx').catch((error: NodeJS.ErrnoException) => {
		throw error.code === 'EEXIST' ? failure.locked(lock, 'Another program that changes the kubeconfig') : error;
	})).close();
	try {
		const [mine, mode] = await Promise.all([
			readFile(file, 'utf8').catch(whereMissing('')),
			// It holds keys: a new one is for nobody else.
			stat(file).then((found) => found.mode & 0o777).catch(whereMissing(0o600)),
		]);
		const changed = tryChange(named, mine, change);
		if (changed !== mine) {
			await writeFileWhole(file, changed, mode);
			// The process's umask may have taken some of it.
			await chmod(file, mode);
		}
	} finally {
		await rm(lock, {force: true});
	}
}

function tryChange(file: string, mine: string, change: (mine: string) => string): string {
	try {
		return change(mine);
	} catch (error) {
		throw failure.usage(`${file} is no kubeconfig: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`, 'Nothing was changed. Correct it, or name another one with KUBECONFIG.');
	}
}

/** The file that a name leads to in the end, though it may not be there yet. */
async function followLinks(name: string): Promise<string> {
	const target = await readlink(name).catch(() => undefined);
	return target === undefined ? name : followLinks(path.resolve(path.dirname(name), target));
}

/** Takes a missing file for a value; throws everything else. */
function whereMissing<Value>(value: Value): (error: NodeJS.ErrnoException) => Value {
	return (error) => {
		if (error.code === 'ENOENT') {
			return value;
		}

		throw error;
	};
}

export const verb = defineVerb({
	options: (command) => command
		.positional('lab', {type: 'string', describe: 'Default: the only one that runs'})
		.option('merge', {type: 'boolean', default: false, describe: 'Write it into your own (the first of $KUBECONFIG, or ~/.kube/config) as context vmlab-LAB'})
		.option('unmerge', {type: 'boolean', default: false, describe: 'Take that context out of your own again; the lab need not run'}),
	async run({lab: name, merge, unmerge}, {output}) {
		if (merge && unmerge) {
			throw failure.usage('--merge and --unmerge are opposites', 'Choose one of them.');
		}

		if (unmerge) {
			const gone = name ?? (await chooseLab(undefined)).name;
			let current: string | undefined;
			await changeKubeconfig(ownKubeconfig(), (mine) => {
				const changed = unmergeKubeconfig(mine, gone);
				const [before, after] = [mine, changed].map((text) => (parse(text) as KubeConfig | null)?.['current-context']);
				current = after === before ? undefined : after;
				return changed;
			});
			say(`${ownKubeconfig()} has no context ${nameOf(gone)} any more${current === undefined ? '' : current === '' ? ', and no current one' : `; ${current} is the current one again`}.`);
			return;
		}

		const lab = await chooseLab(name);
		const text = await readKubeconfig(lab.name);
		if (merge) {
			await changeKubeconfig(ownKubeconfig(), (mine) => mergeKubeconfig(mine, text, lab.name));
			say(`${ownKubeconfig()} has the context ${nameOf(lab.name)} now, and it is the current one.`);
		} else {
			await print(output, parse(text) as unknown, () => text);
		}
	},
});
