/** `vmlab kubeconfig`: a lab's private kubeconfig, printed or merged into the user's own. */
import {chmod, mkdir, readFile, rename, writeFile} from 'node:fs/promises';
import {homedir} from 'node:os';
import path from 'node:path';
import {parse, stringify} from 'yaml';
import {failure} from '../host/failure.ts';
import {labFolder} from '../host/folder.ts';
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

/** The user's kubeconfig with a lab's in it, all of whose names become `vmlab-LAB`. Other entries and the rest are kept. */
export function mergeKubeconfig(mine: string, labs: string, lab: string): string {
	const target = (parse(mine) ?? {apiVersion: 'v1', kind: 'Config', preferences: {}}) as KubeConfig;
	const source = parse(labs) as KubeConfig;
	const name = `vmlab-${lab}`;
	for (const list of lists) {
		const entry = source[list]?.[0];
		if (entry !== undefined) {
			const renamed = list === 'contexts' ? {...entry, name, context: {...(entry['context'] as object), cluster: name, user: name}} : {...entry, name};
			target[list] = [...(target[list] ?? []).filter((other) => other.name !== name), renamed];
		}
	}

	target['current-context'] = name;
	return stringify(target);
}

export const verb = defineVerb({
	options: (command) => command
		.positional('lab', {type: 'string', describe: 'Default: the only one that runs'})
		.option('merge', {type: 'boolean', default: false, describe: 'Write it into your own ($KUBECONFIG or ~/.kube/config) as context vmlab-LAB'}),
	async run({lab: name, merge}, {output}) {
		const lab = await chooseLab(name);
		const text = await readKubeconfig(lab.name);
		if (!merge) {
			await print(output, parse(text) as unknown, () => text);
			return;
		}

		const file = process.env['KUBECONFIG']?.split(':').find((entry) => entry !== '') ?? path.join(homedir(), '.kube/config');
		await mkdir(path.dirname(file), {recursive: true, mode: 0o700});
		const mine = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
			if (error.code === 'ENOENT') {
				return '';
			}

			throw error;
		});
		// It holds keys, and is never there half-written.
		await writeFile(`${file}.vmlab`, mergeKubeconfig(mine, text, lab.name), {mode: 0o600});
		await chmod(`${file}.vmlab`, 0o600);
		await rename(`${file}.vmlab`, file);
		say(`${file} has the context vmlab-${lab.name} now, and it is the current one.`);
	},
});
