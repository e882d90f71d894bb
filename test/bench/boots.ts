/** Rows that boot machines: from power-on to ssh, to a ready cluster, to a Service that answers; and what a machine costs. */
import {chmod, mkdir, readFile, writeFile} from 'node:fs/promises';
import {availableParallelism} from 'node:os';
import path from 'node:path';
import {run} from '../../lab/host/program.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {until} from '../../lab/host/wait.ts';
import {probeAccelerator} from '../../lab/machine/accelerator.ts';
import {startMachine} from '../../lab/machine/machine.ts';
import {labFolder} from '../../lab/host/folder.ts';
import type {LabStatus} from '../../lab/runtime/labs.ts';
import {readEvents} from '../rig/events-file.ts';
import {median, mustRun, round, type Row, type RowSink} from './measure.ts';
import {readMappings} from './memory-use.ts';

const mebibyte = 1024 ** 2;
/** Boots of each kind for power-on-to-ssh. */
const boots = 3;

/** Up by a boot, not a fork, while `use` works on it, then down, whatever happens. The scenario may be one of a project's. */
async function withColdLab<Value>(words: readonly string[], lab: string, env: Readonly<Record<string, string>>, use: (status: LabStatus) => Promise<Value>): Promise<Value> {
	try {
		const {stdout} = await mustRun(['up', ...words, '--cold', '--name', lab, '-o', 'json'], {env});
		return await use(JSON.parse(stdout) as LabStatus);
	} finally {
		await mustRun(['down', lab], {env});
	}
}

async function labEvents(lab: string) {
	return readEvents(path.join(labFolder(lab), 'events.jsonl'));
}

/** A machine with nothing but `base` answers over ssh; against the same kernel and initramfs with a shell as init, without layers and networks. */
export async function measureSsh(_wanted: ReadonlySet<string>, found: RowSink): Promise<void> {
	await withTemporaryFolder(async (project) => {
		await mkdir(path.join(project, 'scripts'));
		await writeFile(path.join(project, 'package.json'), '{"type": "module"}');
		await writeFile(path.join(project, 'scripts/bench-ssh.ts'), `import {defineScenario} from 'vmlab';
export default defineScenario({
	summary: 'One machine, for the benchmark', budget: '1m',
	lab: {machines: {node: {count: 1, memory: '512MiB'}}, overlays: ['base']},
	async steps({step}) { await step('it is up', async () => {}); },
});
`);
		const env = {VMLAB_PROJECT: project};
		await mustRun(['build', 'bench-ssh'], {env});
		const {stages} = JSON.parse((await mustRun(['plan', 'bench-ssh', '-o', 'json'], {env})).stdout) as {stages: Array<{name: string; folder: string}>};
		const image = stages.find(({name}) => name.startsWith('image '))!.folder;
		const ssh: number[] = [];
		const shell: number[] = [];
		for (let boot = 0; boot < boots; boot += 1) {
			shell.push(await bootShell(image));
			const lab = `bench-ssh-${process.pid}`;
			await withColdLab(['bench-ssh'], lab, env, async () => {
				const events = await labEvents(lab);
				const at = (type: 'lab' | 'machine', reason: string): number => events.find((event) => event.type === type && 'reason' in event && event.reason === reason)!.at;
				// From before QEMU is started, as the shell's is.
				ssh.push((at('machine', 'answers') - at('lab', 'booting')) / 1000);
			});
		}

		const ratio = median(ssh) / median(shell);
		await found({
			name: 'power-on-to-ssh', value: round(ratio), unit: 'times', goal: '< 2.5', met: ratio < 2.5,
			compared: {'to ssh, s': round(median(ssh)), 'to a shell as init, s': round(median(shell))},
		});
	});
}

/** Seconds from the start of QEMU to a shell's first word, with the image's kernel and initramfs and a shell in place of init. */
async function bootShell(image: string): Promise<number> {
	return withTemporaryFolder(async (folder) => {
		await writeFile(path.join(folder, 'bench-init'), '#!/bin/sh\necho a-shell-is-here >/dev/console\nexec /bin/sh </dev/console >/dev/console 2>&1\n');
		await chmod(path.join(folder, 'bench-init'), 0o755);
		const archive = path.join(folder, 'initramfs');
		await run('sh', ['-c', 'echo bench-init | cpio --quiet -o -H newc -R 0:0 >seed && cat "$0" seed >initramfs && qemu-img create -q -f qcow2 disk.qcow2 4G', path.join(image, 'initramfs')], {cwd: folder});
		const {accelerator, speed} = await probeAccelerator({});
		const start = performance.now();
		const machine = await startMachine({
			lab: `bench-${process.pid}`, name: 'shell', accelerator, cpus: 1, memory: 512 * mebibyte, memoryFile: path.join(folder, 'ram'),
			kernel: path.join(image, 'vmlinuz'), initramfs: archive,
			append: ['console=ttyS0', 'quiet', 'edd=off', 'tsc=reliable', 'no_timer_check', 'mitigations=off', 'random.trust_cpu=on', 'rdinit=/bench-init'],
			layers: [], disk: 'disk.qcow2', links: [], maintenance: {mac: '52:54:00:00:00:01', forwards: [], egress: false},
			qmpSocket: 'qmp.sock', consoleLog: path.join(folder, 'console.log'), consoleSocket: 'console.sock', forkSocket: 'fork.sock', log: path.join(folder, 'qemu.log'),
		}, {cwd: folder});
		try {
			return await until('a shell runs as init', async () => {
				const console = await readFile(path.join(folder, 'console.log'), 'utf8').catch(() => '');
				return console.includes('a-shell-is-here') ? {met: true, value: (performance.now() - start) / 1000} : {met: false, seen: console.slice(-200)};
			}, {deadline: 20_000 * speed, interval: 50});
		} finally {
			await machine.kill();
		}
	});
}

/** The seconds that a process has used of the processors so far: proc(5), in ticks of 10 ms. */
async function processorSeconds(pid: number): Promise<number> {
	const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
	const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
	return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** A cluster from power-on: all nodes ready, then a Service that answers; and what its machines cost in memory. */
export async function measureCluster(wanted: ReadonlySet<string>, found: RowSink): Promise<void> {
	await mustRun(['build', 'ipv4']);
	const lab = `bench-${process.pid}`;
	await withColdLab(['ipv4'], lab, {}, async (status) => {
		const pids = status.machines.flatMap(({pid}) => (pid === null ? [] : [pid]));
		const share = async (seconds: number): Promise<number> => {
			const used = await Promise.all(pids.map(processorSeconds));
			return used.reduce((sum, part) => sum + part, 0) / (seconds * availableParallelism());
		};

		const events = await labEvents(lab);
		const powerOn = Math.min(...events.flatMap((event) => (event.type === 'machine' && event.reason === 'started' ? [event.at] : [])));
		const readyAt = Math.max(...events.flatMap((event) => (event.type === 'lab' && event.reason === 'ready' ? [event.at] : [])));
		const ready = (readyAt - powerOn) / 1000;
		const readyShare = await share((Date.now() - powerOn) / 1000);
		await found({
			name: 'power-on-to-ready', value: round(ready), unit: 's', goal: null, met: null,
			compared: {'share of the processors that the machines used': round(readyShare), machines: pids.length, processors: availableParallelism()},
		});
		if (wanted.has('power-on-to-service')) {
			const serviceSeconds = await untilServiceAnswers(lab, powerOn);
			await found({
				name: 'power-on-to-service', value: round(serviceSeconds), unit: 's', goal: null, met: null,
				compared: {'of these to ready, s': round(ready), 'share of the processors that the machines used': round(await share(serviceSeconds))},
			});
		}

		if (wanted.has('machine-overhead')) {
			await found(await measureMemory(pids));
		}
	});
}

/** Deploys a server behind a Service and asks it from a node. Seconds since the power-on. */
async function untilServiceAnswers(lab: string, powerOn: number): Promise<number> {
	const {images} = JSON.parse((await mustRun(['overlay', 'show', 'kubernetes', '-o', 'json'])).stdout) as {images: string[]};
	const image = images.find((reference) => reference.includes('/agnhost:'))!;
	await mustRun(['kubectl', lab, '--', 'create', 'deployment', 'bench', `--image=${image}`, '--replicas=2', '--', '/agnhost', 'netexec', '--http-port=8080']);
	await mustRun(['kubectl', lab, '--', 'expose', 'deployment', 'bench', '--port=80', '--target-port=8080']);
	const {stdout: address} = await mustRun(['kubectl', lab, '--', 'get', 'service', 'bench', '-o', 'jsonpath={.spec.clusterIP}']);
	await mustRun(['exec', lab, 'node-1', '--', `for i in $(seq 600); do curl -sf -m 2 http://${address}/hostname && exit 0; sleep 0.5; done; exit 1`]);
	return (Date.now() - powerOn) / 1000;
}

/** Memory of the QEMU processes by what it is for: the guest's memory, the layers, and the rest, which is the overhead. */
async function measureMemory(pids: readonly number[]): Promise<Row> {
	const machines = await Promise.all(pids.map(async (pid) => {
		const files = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').flatMap((argument) => {
			const [, id, file] = /^memory-backend-file,id=(\w+),mem-path=([^,]+)/.exec(argument) ?? [];
			return id === undefined || file === undefined ? [] : [{id, file}];
		});
		const kindOf = (mapped: string): 'guest' | 'layers' | 'rest' => {
			const found = files.find(({file}) => mapped === file || mapped.endsWith(`/${path.basename(path.dirname(file))}/${path.basename(file)}`));
			return found === undefined ? 'rest' : found.id === 'ram' ? 'guest' : 'layers';
		};

		const sums = {guest: 0, layers: 0, layersShare: 0, rest: 0};
		for (const {file, rss, pss} of await readMappings(pid)) {
			const kind = kindOf(file);
			sums[kind] += rss;
			sums.layersShare += kind === 'layers' ? pss : 0;
		}

		return sums;
	}));
	const total = (kind: 'guest' | 'layers' | 'layersShare' | 'rest'): number => machines.reduce((sum, machine) => sum + machine[kind], 0) / mebibyte;
	return {
		name: 'machine-overhead', value: round(total('rest') / machines.length), unit: 'MiB', goal: null, met: null,
		compared: {
			machines: machines.length,
			'guests\' memory in use together, MiB': round(total('guest')),
			'layers mapped together, MiB': round(total('layers')),
			'of these in memory once, MiB': round(total('layersShare')),
		},
	};
}
