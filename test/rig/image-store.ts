/** What holds for the image store of every cluster, whatever its container runtime. */
import type {ExecutionContext} from 'ava';
import {until} from '../../lab/host/wait.ts';
import type {Bench} from './machines.ts';

/** The folders that the overlays of running containers are on, each as it really is. */
const lowerFolders = String.raw`for folder in $(sed -n 's/^overlay .* .*[ ,]lowerdir=\([^,]*\),.*/\1/p' /proc/mounts | tr : '\n'); do readlink -f "$folder"; done | sort -u`;

const pause = 'registry.k8s.io/pause:3.10.2';

/**
 * Looks at the nodes of a cluster of two that runs: their containers are on the read-only store alone, and they have no archives that could have been imported. A pod with an image
 * of the store starts without pulling it, and one with an image that the store lacks does not.
 */
export async function expectImageStore(t: ExecutionContext<any>, bench: Bench, lab: string): Promise<void> {
	for (const node of ['node-1', 'node-2']) {
		const ask = async (command: string): Promise<string> => (await bench.expect(t, 0, ['exec', lab, node, '--', command])).trim();
		t.regex(await ask('findmnt --noheadings --output FSTYPE,OPTIONS /run/vmlab/image-store'), /^erofs +ro,/);
		const folders = (await ask(lowerFolders)).split('\n');
		t.true(folders.every((folder) => folder.startsWith('/run/vmlab/image-store/')), `${node}: ${folders.join(', ')}`);
		await bench.expect(t, 1, ['exec', lab, node, '--', 'test -e /usr/lib/vmlab/images']);
	}

	const kubectl = async (...words: readonly string[]): Promise<string> => bench.expect(t, 0, ['kubectl', lab, '--', ...words]);
	const becomes = async (pod: string, field: string, wanted: string): Promise<void> => until(
		`the pod ${pod} is ${wanted}`,
		async () => {
			const seen = await kubectl('get', 'pod', pod, '-o', `jsonpath={${field}}`);
			return seen === wanted ? {met: true, value: undefined} : {met: false, seen};
		},
		{deadline: 180_000, interval: 2000},
	);
	await kubectl('run', 'present', `--image=${pause}`, '--image-pull-policy=Never');
	await kubectl('run', 'absent', `--image=${pause}-absent`, '--image-pull-policy=Never');
	await becomes('present', '.status.phase', 'Running');
	await becomes('absent', '.status.containerStatuses[0].state.waiting.reason', 'ErrImageNeverPull');
	await kubectl('delete', 'pod', 'present', 'absent', '--grace-period=0', '--force');
}
