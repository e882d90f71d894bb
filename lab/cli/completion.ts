/** What completes a word of the command line: names of scenarios, labs, machines, overlays and images. */
import {listImages, listOverlays, listScenarios} from '../spec/load.ts';

/** The names that may come next after these words (`vmlab` and the verb first); undefined where yargs knows it all. */
export async function completeNames(words: readonly string[]): Promise<string[] | undefined> {
	const [, verb, action] = words;
	switch (verb) {
		case 'start':
		case 'doctor':
		case 'plan':
		case 'build':
		case 'up':
		case 'run': {
			return listScenarios();
		}

		case 'down':
		case 'status':
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

		case 'overlay': {
			return words.length > 3 && action !== 'list' ? listOverlays() : ['list', 'show', 'files'];
		}

		case 'image': {
			return words.length > 3 && action !== 'list' ? listImages() : ['list', 'show'];
		}

		case 'cache': {
			return ['list', 'verify', 'prune'];
		}

		default: {
			return undefined;
		}
	}
}

async function runningLabs(): Promise<Array<{name: string; machines: string[]}>> {
	const {listLabs} = await import('../runtime/labs.ts');
	return (await listLabs()).map(({name, machines}) => ({name, machines: machines.map((machine) => machine.name)}));
}
