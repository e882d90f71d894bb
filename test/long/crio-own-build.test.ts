/**
 * The other container runtime, and the developer's own build, on one booted cluster: scenario `ipv4` passes with CRI-O and
 * with a kubelet that says of itself that it was built elsewhere.
 */
import {copyFile, mkdir, readdir} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {packageFolder} from '../../lab/host/folder.ts';
import {run} from '../../lab/host/program.ts';
import {expectImageStore} from '../rig/image-store.ts';
import {benchFor} from '../rig/machines.ts';
import {remainsOf} from '../rig/remains.ts';

const bench = benchFor(test);
const programs = (): string => path.join(bench.folder, 'programs');

const ownVersion = 'v1.36.3-own.build';

test.serial('a folder that lacks a program is refused before anything is built', async (t) => {
	await mkdir(programs());
	const outcome = await bench.run(['build', 'ipv4', '--set', `kubernetes.dir=${programs()}`]);
	t.is(outcome.code, 5, outcome.stderr);
	t.regex(outcome.stderr, /kubelet/);
});

test.serial('an own build of the kubelet is used, with CRI-O, and scenario ipv4 passes', async (t) => {
	t.timeout(50 * 60_000);
	const built = JSON.parse(await bench.expect(t, 0, ['build', 'ipv4', '-o', 'json'])) as Array<{name: string; folder: string}>;
	const pinned = built.find(({name}) => name === 'component kubernetes')?.folder;
	t.truthy(pinned);
	for (const name of await readdir(pinned ?? '')) {
		await copyFile(path.join(pinned ?? '', name), path.join(programs(), name));
	}

	await run('go', [
		'build', '-trimpath', '-mod=readonly', '-buildvcs=false', '-o', path.join(programs(), 'kubelet'),
		'-ldflags', `-s -w -X k8s.io/component-base/version.gitVersion=${ownVersion}`, 'k8s.io/kubernetes/cmd/kubelet',
	], {cwd: path.join(packageFolder, 'overlays/kubernetes'), env: {CGO_ENABLED: '0', GOFLAGS: undefined}});
	await bench.expect(t, 0, ['run', 'ipv4', '--keep', '--set', 'kubernetes.runtime=crio', '--set', `kubernetes.dir=${programs()}`]);
	const nodes = await bench.expect(t, 0, ['kubectl', 'ipv4', '--', 'get', 'nodes', '-o', 'jsonpath={range .items[*]}{.status.nodeInfo.kubeletVersion} {.status.nodeInfo.containerRuntimeVersion};{end}']);
	t.regex(nodes, /^(?:v1\.36\.3-own\.build cri-o:\/\/\S+;){2}$/);
});

test.serial('with CRI-O pods run on the image store, and one with an image that the store lacks does not start', async (t) => {
	t.timeout(15 * 60_000);
	await expectImageStore(t, bench, 'ipv4');
});

test.serial('when a file of the own build changes, it is taken up again', async (t) => {
	const words = ['plan', 'ipv4', '--set', 'kubernetes.runtime=crio', '--set', `kubernetes.dir=${programs()}`, '-o', 'json'];
	const cached = async (): Promise<boolean | undefined> => {
		const plan = JSON.parse(await bench.expect(t, 0, words)) as {stages: Array<{name: string; cached: boolean}>};
		return plan.stages.find(({name}) => name === 'component kubernetes')?.cached;
	};

	t.true(await cached());
	await copyFile(path.join(programs(), 'kube-proxy'), path.join(programs(), 'kubelet'));
	t.false(await cached());
});

test.serial('after down nothing of the lab remains', async (t) => {
	t.timeout(5 * 60_000);
	await bench.expect(t, 0, ['down', 'ipv4']);
	t.deepEqual(await remainsOf({name: 'ipv4', state: bench.state}), []);
});
