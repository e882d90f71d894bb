/** The cluster as steps see it: the kubectl that was built with it, run on the host with the lab's private kubeconfig. */
import {stringify} from 'yaml';
import type {SourcePlace} from '../host/error.ts';
import {failure} from '../host/failure.ts';
import {run} from '../host/program.ts';
import {quoteCommand, quoteWord} from '../machine/quoting.ts';
import {kubectlIn, kubectlStage} from '../runtime/kubectl.ts';
import {commandSignal, waitIsOver} from './command-scope.ts';
import {lastLines} from './output.ts';
import {callPlace} from './place.ts';
import type {ClusterHandle, CommandResult} from './scenario.ts';
import type {ScenarioLab} from './scenario-lab.ts';

/** Where kubectl and the kubeconfig of a lab are, or what is missing. */
export function clusterAccess(lab: ScenarioLab): {kubectl: string; kubeconfig: string} | {missing: string} {
	const stage = lab.made.get(kubectlStage);
	if (stage === undefined) {
		return {missing: `stage "${kubectlStage}", which kubectl comes from`};
	}

	return lab.kubeconfig === undefined ? {missing: 'kubeconfig'} : {kubectl: kubectlIn(stage.folder), kubeconfig: lab.kubeconfig};
}

/** Manifests as YAML for kubectl's stdin: text as it is, objects as one document each. */
export function manifestText(manifest: string | object | readonly object[]): string {
	if (typeof manifest === 'string') {
		return manifest;
	}

	const documents: readonly object[] = Array.isArray(manifest) ? manifest : [manifest];
	// Aliases for what appears twice are YAML, but kubectl's parser limits them; and it reads YAML 1.1, where `yes` is no text.
	return documents.map((document) => stringify(document, {aliasDuplicateObjects: false, compat: 'yaml-1.1'})).join('---\n');
}

/** The cluster of a lab. Its parts throw `no-cluster` when used in a lab that has none. */
export function openCluster(lab: ScenarioLab, signal: AbortSignal): ClusterHandle {
	function access(): {kubectl: string; kubeconfig: string} {
		const found = clusterAccess(lab);
		if ('missing' in found) {
			throw failure.noCluster(lab.name, found.missing);
		}

		return found;
	}

	async function kubectl(words: string, place: SourcePlace | undefined, input?: string): Promise<CommandResult> {
		const {kubectl: program, kubeconfig} = access();
		const shown = `kubectl ${words}`;
		let result: CommandResult;
		try {
			result = await run('bash', ['-euo', 'pipefail', '-c', `${quoteWord(program)} ${words}`], {
				env: {KUBECONFIG: kubeconfig},
				signal: commandSignal(signal),
				accept: Array.from({length: 256}, (_, code) => code),
				...(input === undefined ? {} : {input}),
			});
		} catch (error) {
			signal.throwIfAborted();
			throw waitIsOver(signal) ? failure.commandCutShort(shown, 'the host') : error;
		}

		if (result.exitCode !== 0) {
			throw failure.commandFailed(shown, 'the host', `ended with exit code ${result.exitCode}`, lastLines(result), place);
		}

		return result;
	}

	return {
		get kubeconfig() {
			return access().kubeconfig;
		},
		kubectl: async (pieces, ...values) => kubectl(quoteCommand(pieces, values), callPlace()),
		async apply(manifest) {
			// Validation would have the API server write down its whole API first (OpenAPI): half a minute, on a slow machine.
			await kubectl('apply --server-side --force-conflicts --validate=false -f -', callPlace(), manifestText(manifest));
		},
		async get(...words) {
			return JSON.parse((await kubectl(`get ${words.map((word) => quoteWord(word)).join(' ')} -o json`, callPlace())).stdout);
		},
	};
}
