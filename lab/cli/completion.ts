/** What completes a word of the command line: verbs, options, and names of scenarios, labs, machines, overlays and images. */
import yargs from 'yargs';
import {listImages, listOverlays, listRuns} from '../spec/load.ts';
import {findVerb, nameOfVerb, verbNames, verbs} from './verbs.ts';

/** The words that `current` may become, after these words (`vmlab` first). What cannot be found out is no error here. */
export async function complete(current: string, words: readonly string[]): Promise<string[]> {
	const [, verb] = words;
	if (verb === undefined || words.length <= 2) {
		return [...verbNames];
	}

	return (current.startsWith('-') ? completeOption(verb) : completeName(words)).catch(() => []);
}

async function completeOption(verb: string): Promise<string[]> {
	const entry = findVerb(verb);
	const declared = (await entry?.load())?.verb.options(yargs([])) as unknown as {getOptions(): {key: Record<string, unknown>}} | undefined;
	const positionals = [...(entry?.command ?? '').matchAll(/[<[]([a-z]+)/g)].map(([, name]) => name);
	const names = [...Object.keys(declared?.getOptions().key ?? {}), 'output', 'cache-dir', 'state-dir', 'project', 'help'];
	return [...new Set(names)].filter((name) => name.length > 1 && name !== 'version' && !positionals.includes(name)).map((name) => `--${name}`);
}

async function completeName(words: readonly string[]): Promise<string[]> {
	const [, verb, action] = words;
	switch (verb) {
		case 'help': {
			return verbs.map(nameOfVerb);
		}

		case 'start':
		case 'doctor':
		case 'plan':
		case 'build':
		case 'up':
		case 'run': {
			return listRuns();
		}

		case 'down':
		case 'status':
		case 'capture':
		case 'kubeconfig':
		case 'kubectl': {
			return (await runningLabs()).map(({name}) => name);
		}

		case 'ssh':
		case 'exec':
		case 'logs':
		case 'console': {
			const labs = await runningLabs();
			return [...labs.map(({name}) => name), ...new Set(labs.flatMap(({machines}) => machines))];
		}

		case 'link': {
			return words.length <= 3 ? ['list', 'set', 'clear'] : completeLink(words);
		}

		case 'machine': {
			return words.length <= 3 ? [...(await import('./machine.ts')).machineActions] : completeMachine(words);
		}

		case 'overlay': {
			return words.length > 3 && action !== 'list' ? listOverlays() : ['list', 'show', 'files'];
		}

		case 'image': {
			return words.length > 3 && action !== 'list' ? listImages() : ['list', 'show'];
		}

		case 'cache': {
			return words.length > 3 && ['remove', 'rm'].includes(action ?? '') ? keptNames() : ['list', 'verify', 'prune', 'remove'];
		}

		default: {
			return [];
		}
	}
}

/** After `link ACTION`: a lab, or what the only one has; a machine of it, a network of that. */
async function completeLink([, , , ...words]: readonly string[]): Promise<string[]> {
	const {labs, lab, rest} = await startOfNames(words);
	const [machine] = rest;
	if (rest.length !== 2 || lab === undefined) {
		return rest.length < 2 ? [...labs, ...lab?.machines ?? []] : [];
	}

	const {readLinks} = await import('../runtime/lab-links.ts');
	return (await readLinks(lab.name)).filter((link) => link.machine === machine).map(({network}) => network);
}

/** After `machine ACTION`: a lab, or a machine of the only one; a machine of it. */
async function completeMachine([, , , ...words]: readonly string[]): Promise<string[]> {
	const {labs, lab, rest} = await startOfNames(words);
	return rest.length < 2 ? [...labs, ...lab?.machines ?? []] : [];
}

/** Of `[LAB] WORD...`, the last word of which is being typed: the lab that is meant, the words behind it, and the labs that the word may still name. */
async function startOfNames(words: readonly string[]): Promise<{labs: string[]; lab: {name: string; machines: string[]} | undefined; rest: readonly string[]}> {
	const running = await runningLabs();
	const named = words.length > 1 ? running.find(({name}) => name === words[0]) : undefined;
	const own = running.filter(({makes}) => makes === undefined);
	const lab = named ?? (own.length === 1 ? own[0] : undefined);
	return {labs: words.length > 1 ? [] : running.map(({name}) => name), lab, rest: named === undefined ? words : words.slice(1)};
}

/** What can be removed by the name that it was kept under. */
async function keptNames(): Promise<string[]> {
	const [{openStore}, {isKept, nameOfKept}] = await Promise.all([import('../store/open-store.ts'), import('../runtime/kept-lab.ts')]);
	return (await (await openStore()).list()).filter((stage) => isKept(stage)).map((stage) => nameOfKept(stage));
}

async function runningLabs(): Promise<Array<{name: string; makes: string | undefined; machines: string[]}>> {
	const {listLabs} = await import('../runtime/labs.ts');
	return (await listLabs()).map(({name, makes, machines}) => ({name, makes, machines: machines.map((machine) => machine.name)}));
}
