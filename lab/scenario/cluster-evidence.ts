/** The cluster's state when a scenario failed, as files. */
import {mkdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {run} from '../host/program.ts';
import {countEvidence, emptyEvidenceFolder} from '../runtime/evidence.ts';
import {clusterAccess} from './cluster-handle.ts';
import type {ScenarioLab} from './scenario-lab.ts';

/** File name -> arguments of kubectl. */
const views: Readonly<Record<string, readonly string[]>> = {
	'all.txt': ['get', 'all,endpointslices,nodes', '-A', '-o', 'wide'],
	'events.txt': ['get', 'events', '-A', '--sort-by=.lastTimestamp'],
	'nodes.txt': ['describe', 'nodes'],
	'pods.txt': ['describe', 'pods', '-A'],
};

/**
 * Collects a failed run's evidence into a folder: the machines' by the lab, and the cluster's into `cluster/`.
 * Nothing here throws, since the failure that led here is what counts: what could not be had says so in its own file.
 *
 * @param span of the frames that are kept, in milliseconds since 1970
 * @returns how many files are there
 */
export async function collectEvidence(lab: ScenarioLab, folder: string, signal: AbortSignal, span?: {readonly since?: number; readonly until?: number}): Promise<number> {
	await emptyEvidenceFolder(folder);
	await Promise.all([
		lab.collectEvidence(folder, signal, span).catch(async (error: unknown) => writeFile(path.join(folder, 'machines-missing.txt'), `${message(error)}\n`)),
		collectCluster(lab, path.join(folder, 'cluster'), signal),
	]);
	return countEvidence(folder);
}

async function collectCluster(lab: ScenarioLab, folder: string, signal: AbortSignal): Promise<void> {
	const access = clusterAccess(lab);
	if ('missing' in access) {
		return;
	}

	await mkdir(folder, {recursive: true});
	const kubectl = async (args: readonly string[]): Promise<string> => {
		try {
			const {stdout, stderr, exitCode} = await run(access.kubectl, [...args, '--request-timeout=30s'], {
				env: {KUBECONFIG: access.kubeconfig}, signal, accept: [0, 1],
			});
			return exitCode === 0 ? `${stdout}\n` : `${stdout}\n(exit code ${exitCode}) ${stderr}\n`;
		} catch (error) {
			return `could not be had: ${message(error)}\n`;
		}
	};

	// One after the other: an API server that is in trouble is not to be asked for all at once.
	for (const [name, args] of Object.entries(views)) {
		await writeFile(path.join(folder, name), await kubectl(args));
	}

	const pods = await kubectl(['get', 'pods', '-A', '-o', 'jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name}{"\\n"}{end}']);
	for (const line of pods.split('\n')) {
		const [, namespace, pod] = /^([\w.-]+) ([\w.-]+)$/.exec(line) ?? [];
		if (namespace !== undefined && pod !== undefined) {
			await writeFile(path.join(folder, `log-${namespace}-${pod}.txt`), await kubectl(['logs', '-n', namespace, pod, '--all-containers', '--tail=500']));
		}
	}
}

function message(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}
