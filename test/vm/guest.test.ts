/** Labs of real machines without a cluster: they boot, answer, keep to themselves, and leave nothing. */
import {mkdir, readdir, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {makeStages} from '../../lab/build/make.ts';
import {preparePlan} from '../../lab/build/prepare.ts';
import {type EventSink, noEvents} from '../../lab/event/event.ts';
import {LabError} from '../../lab/host/error.ts';
import {failure} from '../../lab/host/failure.ts';
import {packageFolder} from '../../lab/host/folder.ts';
import {run} from '../../lab/host/program.ts';
import {until} from '../../lab/host/wait.ts';
import type {Plan} from '../../lab/plan/plan.ts';
import {bootLab} from '../../lab/runtime/lab.ts';
import type {LabStatus} from '../../lab/runtime/labs.ts';
import type {LabDeclaration} from '../../lab/spec/lab.ts';
import type {MadeStage} from '../../lab/store/store.ts';
import {openStore} from '../../lab/store/open-store.ts';
import {benchFor} from '../rig/machines.ts';
import {withProject} from '../rig/project.ts';
import {processesOf, remainsOf} from '../rig/remains.ts';

const bench = benchFor(test);

/** The overlays of the clusters' labs, so that they all have one image; a tester gets only the first. */
const overlays = ['base', 'etcd', 'kubernetes', 'coredns', 'cni-bridge', 'images', 'externalip'];

function declare(count: number): LabDeclaration {
	return {machines: {tester: {count, memory: '256MiB'}}, overlays};
}

function script(count: number): string {
	return `import {defineScenario} from 'vmlab';

export default defineScenario({
	summary: 'Machines on one network',
	budget: '1m',
	lab: ${JSON.stringify(declare(count))},
	async steps() {},
});
`;
}

test.serial('two labs of the same addresses run at once, do not see each other, and leave nothing', async (t) => {
	t.timeout(50 * 60_000);
	await withProject({'scripts/pair.ts': script(2), 'scripts/alone.ts': script(1)}, async ({folder}) => {
		const env = {VMLAB_PROJECT: folder};
		const cwd = packageFolder;
		await bench.expect(t, 0, ['up', 'pair'], {env, cwd});
		await bench.expect(t, 0, ['up', 'alone'], {env, cwd});
		const status = JSON.parse(await bench.expect(t, 0, ['status', 'pair', '-o', 'json'])) as LabStatus;
		t.is(status.state, 'ready');
		t.deepEqual(status.machines.map(({name, role, state}) => [name, role, state]), [['tester-1', 'tester', 'ready'], ['tester-2', 'tester', 'ready']]);
		t.is((await bench.expect(t, 0, ['exec', 'pair', 'tester-1', '--', 'hostname'])).trim(), 'tester-1');
		const {stdout: address} = await bench.run(['exec', 'alone', 'tester-1', '--', 'ip -4 -o address show dev eth1']);
		t.regex(address, /192\.168\.2\.221\/24/);
		// The negative control's other half: in the lab that has the machine it answers.
		await bench.expect(t, 0, ['exec', 'pair', 'tester-1', '--', 'ping -c 1 -W 20 192.168.2.222']);
		await bench.expect(t, 1, ['exec', 'alone', 'tester-1', '--', 'ping -c 2 -W 5 192.168.2.222']);

		const {supervisor} = JSON.parse(await bench.expect(t, 0, ['status', 'alone', '-o', 'json'])) as LabStatus;
		const alone = {name: 'alone', state: bench.state};
		process.kill(supervisor.pid, 'SIGKILL');
		await until('no process of the lab remains', async () => {
			const processes = await processesOf(alone);
			return processes.length === 0 ? {met: true, value: undefined} : {met: false, seen: processes.join(', ')};
		}, {deadline: 5000, interval: 100});
		t.deepEqual((JSON.parse(await bench.expect(t, 0, ['list', '-o', 'json'])) as Array<{name: string}>).map(({name}) => name), ['pair']);
		t.deepEqual(await remainsOf(alone), []);

		await bench.expect(t, 0, ['exec', 'pair', 'tester-1', '--', 'true'], {env});
		await bench.expect(t, 0, ['down', 'pair']);
		t.deepEqual(await remainsOf({name: 'pair', state: bench.state}), []);
		t.deepEqual(await readdir(path.join(bench.state, 'labs')), []);
		// To end what is not there is nothing, unless it is meant by its name.
		await bench.expect(t, 0, ['down']);
		await bench.expect(t, 2, ['down', 'pair']);
	});
});

/** Boots a lab of one machine, changed so that it cannot come up, and gives the error. */
async function failToBoot(
	change: (plan: Plan, made: Map<string, MadeStage>) => Promise<Plan>, signal = new AbortController().signal, events: EventSink = noEvents,
): Promise<{error: LabError; evidence: string}> {
	const before = process.env['VMLAB_STATE_DIR'];
	process.env['VMLAB_STATE_DIR'] = bench.state;
	try {
		const plan = await preparePlan(declare(1));
		const made = new Map(await makeStages(plan, {store: await openStore(), events: noEvents, signal}));
		const evidence = path.join(bench.folder, 'evidence');
		const error = await bootLab({name: 'broken', plan: await change(plan, made), made, events, signal, evidence}).then(async (lab) => {
			await lab.down();
			throw new Error('it booted');
		}, (thrown: unknown) => thrown as LabError);
		return {error, evidence};
	} finally {
		if (before === undefined) {
			delete process.env['VMLAB_STATE_DIR'];
		} else {
			process.env['VMLAB_STATE_DIR'] = before;
		}
	}
}

test.serial('a machine whose kernel finds no first process fails the boot within moments, with the end of its console', async (t) => {
	t.timeout(50 * 60_000);
	const {error, evidence} = await failToBoot(async (plan) => ({...plan, image: {...plan.image, kernelArguments: [...plan.image.kernelArguments ?? [], 'rdinit=/missing']}}));
	t.true(error instanceof LabError, String(error));
	t.is(error.exitCode, 6);
	t.regex(error.message, /tester-1 crashed: Kernel panic/);
	t.true(error.details.length > 2);
	t.regex(await readFile(path.join(evidence, 'tester-1/console.log'), 'utf8'), /Kernel panic/);
	t.deepEqual(await remainsOf({name: 'broken', state: bench.state}), []);
});

test.serial('a machine whose kernel says that it measured its clock badly boots again, before it looks for its disk', async (t) => {
	t.timeout(50 * 60_000);
	const {signal} = new AbortController();
	const plan = await preparePlan(declare(1));
	const made = await makeStages(plan, {store: await openStore(), events: noEvents, signal});
	const image = made.get(`image ${plan.imageName}`)!;
	/** What is on the console when QEMU ends, which a reset is the end of here. The kernel writes its command line into its log, and nothing else can make it say the words. */
	const boot = async (...words: string[]): Promise<string> => {
		const {stdout} = await run('qemu-system-x86_64', [
			'-accel', 'tcg', '-m', '256', '-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot', '-kernel', path.join(image.folder, 'vmlinuz'), '-initrd', path.join(image.folder, 'initramfs'),
			'-append', [...plan.image.kernelArguments ?? [], ...words].join(' '),
		], {timeout: 10 * 60_000});
		return stdout;
	};

	const again = await boot('tsc: PIT calibration deviates');
	t.regex(again, /vmlab: the kernel misjudged how fast its clock runs, so the machine starts again\s+\[.*\] reboot: Restarting system\s*$/);
	// Without the words it goes on, to what is missing here.
	t.regex(await boot(), /the first process runs\s+vmlab: init failed: the kernel arguments lack vmlab\.layers=N\s+\[.*\] reboot: Power down\s*$/);
});

test.serial('a machine that stands still in its boot is started again: its timers are not taken for work', async (t) => {
	t.timeout(50 * 60_000);
	const enough = new AbortController();
	const told: string[] = [];
	const {error} = await failToBoot(
		// A shell that waits for input is as still as a machine that hangs.
		async (plan) => ({...plan, image: {...plan.image, kernelArguments: [...plan.image.kernelArguments ?? [], 'vmlab.shell']}}),
		enough.signal,
		(event) => {
			if (event.type === 'note' && event.level === 'warning') {
				told.push(event.text);
				enough.abort(failure.interrupted('the test'));
			}
		},
	);
	t.is(error.message, 'Interrupted by the test');
	t.deepEqual(told, ['tester-1 stood still for 30 s in the middle of its boot: it is started again']);
	t.deepEqual(await remainsOf({name: 'broken', state: bench.state}), []);
});

test.serial('a machine whose network cannot be set up fails the boot within moments, with the reason', async (t) => {
	t.timeout(50 * 60_000);
	const {error} = await failToBoot(async (plan) => ({...plan, machines: plan.machines.map((machine) => ({...machine, maintenanceMac: '52:54:00:00:00:01'}))}));
	t.true(error instanceof LabError, String(error));
	t.is(error.exitCode, 6);
	t.regex(error.message, /tester-1 crashed: vmlab: the network was not set up: no NIC has the address [\da-f:]+, which is to be eth0$/);
	t.deepEqual(await remainsOf({name: 'broken', state: bench.state}), []);
});

test.serial('a machine whose layer is empty fails the boot within moments, with the line that says so', async (t) => {
	t.timeout(50 * 60_000);
	const {error} = await failToBoot(async (plan, made) => {
		const folder = path.join(bench.folder, 'empty');
		await mkdir(folder);
		await writeFile(path.join(folder, 'layer.erofs'), Buffer.alloc(2 * 1024 ** 2));
		made.set('layer tester', {...made.get('layer tester')!, folder});
		return plan;
	});
	t.true(error instanceof LabError, String(error));
	t.is(error.exitCode, 6);
	t.true([error.message, ...error.details].some((line) => line.includes('vmlab: init failed: cannot mount layer 1')), [error.message, ...error.details].join('\n'));
	t.deepEqual(await remainsOf({name: 'broken', state: bench.state}), []);
});
