/**
 * The store of container images, on a small lab with containerd and an image of its own: it is made once, before any boot; nodes use it where it is,
 * read-only; and what is done with images on a node stays there.
 */
import {mkdir, readdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {run} from '../../lab/host/program.ts';
import {until} from '../../lab/host/wait.ts';
import {openStore} from '../../lab/store/open-store.ts';
import {outcomeText} from '../rig/command.ts';
import {benchFor} from '../rig/machines.ts';
import {remainsOf} from '../rig/remains.ts';

const bench = benchFor(test);
const long = 30 * 60_000;
const image = 'example.org/greeting:1';

const files = (programs: string): Readonly<Record<string, string>> => ({
	'package.json': '{"type": "module"}',
	'scripts/greeting.ts': `import {defineScenario} from 'vmlab';

export default defineScenario({
	summary: 'A container on a node without Kubernetes',
	budget: '2m',
	lab: {machines: {node: {count: 1, memory: '512MiB'}}, overlays: ['containerd', 'images', 'greeting']},
	async steps({step, node}) {
		await step('the container greets', async () => {
			await node('node-1').$\`ctr --namespace=k8s.io run --rm ${image} step\`;
		});
	},
});
`,
	'overlays/greeting/overlay.ts': `import {defineOverlay} from 'vmlab';

export default defineOverlay({
	summary: 'A container image',
	needs: ['images'],
	roles: ['node'],
	components: () => [{name: 'greeting', version: '1.0.0', programs: [{name: 'greeting'}], dir: '${programs}'}],
	images: () => [{reference: '${image}', source: {component: 'greeting', programs: {greeting: '/bin/greeting'}, entrypoint: ['/bin/greeting']}}],
});
`,
	'program/go.mod': 'module greeting\n',
	'program/main.go': 'package main\n\nfunc main() { println("hello from a container") }\n',
});

const environment = (): Record<string, string> => ({VMLAB_PROJECT: path.join(bench.folder, 'project')});
const expect = async (t: ExecutionContext, code: number, ...words: readonly string[]): Promise<string> => bench.expect(t, code, words, {env: environment()});
/** What a command on the node says. */
const ask = async (t: ExecutionContext, lab: string, command: string): Promise<string> => (await expect(t, 0, 'exec', lab, 'node-1', '--', command)).trim();
const snapshots = '/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots';

test.serial('the store is made before the boot, is part of the chain, and is not made twice', async (t) => {
	t.timeout(long);
	const [project, programs] = [path.join(bench.folder, 'project'), path.join(bench.folder, 'programs')];
	for (const [name, text] of Object.entries(files(programs))) {
		await mkdir(path.dirname(path.join(project, name)), {recursive: true});
		await writeFile(path.join(project, name), text);
	}

	await mkdir(programs);
	// Static and without anything of the computer in it, so that the same store serves each run of this test.
	await run('go', ['build', '-trimpath', '-buildvcs=false', '-ldflags', '-s -w -buildid=', '-o', path.join(programs, 'greeting'), '.'], {cwd: path.join(project, 'program'), env: {CGO_ENABLED: '0', GOFLAGS: undefined}});
	const built = JSON.parse(await expect(t, 0, 'build', 'greeting', '-o', 'json')) as Array<{name: string; bytes: number}>;
	t.true((built.find(({name}) => name === 'image store')?.bytes ?? 0) > 0);
	const {stages} = JSON.parse(await expect(t, 0, 'plan', 'greeting', '-o', 'json')) as {stages: Array<{name: string; cached: boolean}>};
	t.true(stages.find(({name}) => name === 'image store')?.cached);
	t.deepEqual(await readdir(path.join(bench.state, 'labs')).catch(() => []), [], 'the machine that made it is gone');
	const again = await bench.run(['build', 'greeting'], {env: environment()});
	t.is(again.code, 0, outcomeText(again));
	t.notRegex(again.stderr, /image store/);
});

test.serial('a node has the image without having imported it, and a container runs on the read-only store', async (t) => {
	t.timeout(long);
	await expect(t, 0, 'up', 'greeting');
	t.is(await ask(t, 'greeting', 'ctr --namespace=k8s.io images list --quiet'), image);
	t.regex(await ask(t, 'greeting', 'findmnt --noheadings --output FSTYPE,OPTIONS /run/vmlab/image-store'), /^erofs +ro,/);
	t.regex(await ask(t, 'greeting', `readlink -f ${snapshots}/*/fs`), /^\/run\/vmlab\/image-store\/\S+\/fs$/);
	await expect(t, 1, 'exec', 'greeting', 'node-1', '--', 'test -e /usr/lib/vmlab/images');
	t.regex(await ask(t, 'greeting', `ctr --namespace=k8s.io run --rm ${image} one 2>&1`), /hello from a container/);
	t.regex(await ask(t, 'greeting', '! touch /run/vmlab/image-store/mark 2>&1'), /Read-only file system/);
});

test.serial('control: an image that the store does not have is not there', async (t) => {
	t.regex(await ask(t, 'greeting', '! ctr --namespace=k8s.io run --rm example.org/absent:1 two 2>&1'), /not found/);
});

test.serial('what a node has done with its images is still so when it is rebooted', async (t) => {
	t.timeout(long);
	await ask(t, 'greeting', `ctr --namespace=k8s.io images tag ${image} example.org/own:1 && ctr --namespace=k8s.io images remove --sync ${image} && sync`);
	const boot = 'cat /proc/sys/kernel/random/boot_id';
	const before = await ask(t, 'greeting', boot);
	await bench.run(['exec', 'greeting', 'node-1', '--', 'systemctl reboot']);
	await until('the node is back', async () => {
		const {code, stdout} = await bench.run(['exec', 'greeting', 'node-1', '--', `${boot}; systemctl is-active --wait --quiet containerd`]);
		return code === 0 && stdout.trim() !== before ? {met: true, value: undefined} : {met: false, seen: `exit code ${code}, ${stdout}`};
	}, {deadline: 300_000, interval: 2000});
	// The CRI has a name of its own for each image beside those that it was given: its digest.
	t.is(await ask(t, 'greeting', 'ctr --namespace=k8s.io images list --quiet | grep -v ^sha256:'), 'example.org/own:1');
	t.regex(await ask(t, 'greeting', 'ctr --namespace=k8s.io run --rm example.org/own:1 three 2>&1'), /hello from a container/);
});

test.serial('an image that is removed from a node is gone there, and nowhere else', async (t) => {
	t.timeout(long);
	await ask(t, 'greeting', 'ctr --namespace=k8s.io images remove --sync $(ctr --namespace=k8s.io images list --quiet)');
	t.is(await ask(t, 'greeting', `ls ${snapshots}`), '');
	t.regex(await ask(t, 'greeting', '! ctr --namespace=k8s.io run --rm example.org/own:1 four 2>&1'), /not found/);
	await expect(t, 0, 'up', 'greeting', '--name', 'twin');
	t.regex(await ask(t, 'twin', `ctr --namespace=k8s.io run --rm ${image} five 2>&1`), /hello from a container/);
	const store = await openStore();
	const {stages} = JSON.parse(await expect(t, 0, 'plan', 'greeting', '-o', 'json')) as {stages: Array<{name: string; key: string}>};
	const made = await store.find(stages.find(({name}) => name === 'image store')!.key);
	t.deepEqual(await store.verify(made!), []);
	await expect(t, 0, 'down', '--all');
	t.deepEqual(await remainsOf({name: 'greeting', state: bench.state}), []);
});
