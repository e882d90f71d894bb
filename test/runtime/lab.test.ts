import {mkdir, readdir, readFile, stat, writeFile} from 'node:fs/promises';
import {createServer} from 'node:net';
import path from 'node:path';
import test from 'ava';
import {parse} from 'yaml';
import type {LabEvent} from '../../lab/event/event.ts';
import {LabError} from '../../lab/host/error.ts';
import {failure} from '../../lab/host/failure.ts';
import {isAlive} from '../../lab/host/process.ts';
import {until} from '../../lab/host/wait.ts';
import {bootLab, type BootRequest} from '../../lab/runtime/lab.ts';
import {listLabs, readLab, statusOf} from '../../lab/runtime/labs.ts';
import {memoryFolderOf} from '../../lab/runtime/memory.ts';
import {endLab} from '../../lab/runtime/supervisor-client.ts';
import {createStandIns, type StandIns, standInPlan, standInStages, withStateFolder} from './stand-ins.ts';

interface Scene {
	readonly folder: string;
	readonly labFolder: string;
	readonly events: LabEvent[];
	readonly controller: AbortController;
	request(changes?: Partial<BootRequest>): BootRequest;
	/** What of the lab is there. */
	remains(parts: StandIns): Promise<string[]>;
}

/** A name, so that the memory folders of tests that run at once are different. */
async function withScene(use: (scene: Scene) => Promise<void>): Promise<void> {
	await withStateFolder(async (folder) => {
		const events: LabEvent[] = [];
		const controller = new AbortController();
		const made = await standInStages(folder);
		const labFolder = path.join(folder, 'state/labs/one');
		await use({
			folder, labFolder, events, controller,
			request: (changes = {}) => ({
				name: 'one', scenario: 'tale', plan: standInPlan(), made, signal: controller.signal,
				events(event) {
					events.push(event);
				},
				...changes,
			}),
			async remains(parts) {
				const there = await Promise.all([...parts.machines.values()].map(async ({machine}) => ((await isAlive(machine.identity)) ? [`process ${machine.pid}`] : [])));
				return [
					...there.flat(), ...(await readdir(path.dirname(labFolder)).catch(() => [])), ...(await readdir(memoryFolderOf(labFolder)).catch(() => [])),
					...(parts.counts.fabrics === 0 ? [] : ['a fabric']), ...(parts.counts.connections === 0 ? [] : ['connections']),
				];
			},
		});
	});
}

const reasons = (events: readonly LabEvent[], type: string): string[] => events.flatMap((event) => (event.type === type && 'reason' in event ? [event.reason] : []));

test.serial('a lab boots, tells its state, and is gone after down', async (t) => {
	await withScene(async ({request, events, labFolder, remains}) => {
		const parts = createStandIns();
		const lab = await bootLab(request({plan: standInPlan(['node-1', 'node-2'])}), parts);
		t.deepEqual(reasons(events, 'lab'), ['starting', 'booting', 'ready']);
		const status = statusOf(await readLab('one'));
		t.is(status.state, 'ready');
		t.is(status.scenario, 'tale');
		t.is(status.supervisor.pid, process.pid);
		t.deepEqual(status.machines.map(({name, state, pid}) => [name, state, pid]), ['node-1', 'node-2'].map((name) => [name, 'ready', parts.machines.get(name)!.machine.pid]));
		t.true(status.machines.every(({ssh}) => ssh.port > 0));
		t.deepEqual(status.machines.map(({addresses}) => addresses), standInPlan(['node-1', 'node-2']).machines.map(({links}) => links.flatMap(({addresses}) => addresses.map(({address}) => address))));
		t.true(status.machines.every(({addresses}) => addresses.length > 0));
		t.deepEqual((await listLabs()).map(({name}) => name), ['one']);
		t.is((await stat(path.join(labFolder, 'kubeconfig'))).mode & 0o777, 0o600);
		const kubeconfig = parse(await readFile(lab.kubeconfig!, 'utf8')) as {clusters: Array<{cluster: {server: string}}>};
		t.is(kubeconfig.clusters[0]!.cluster.server, `https://127.0.0.1:${lab.forwards[0]!.hostPort}`);
		const {spec} = parts.machines.get('node-1')!;
		t.deepEqual(spec.append, ['console=ttyS0', 'quiet', 'vmlab.layers=2', 'vmlab.disk=/dev/vda']);
		t.is((await stat(spec.memoryFile)).size, spec.memory);
		t.deepEqual(spec.links, [{mac: '02:00:00:00:01:01', socket: 'node-1/eth1.sock'}]);
		await Promise.all([lab.down(), lab.down()]);
		await lab.down();
		await lab.ended;
		t.deepEqual(await remains(parts), []);
		t.deepEqual(reasons(events, 'lab'), ['starting', 'booting', 'ready', 'stopping', 'ended']);
		t.deepEqual(await listLabs(), []);
	});
});

test.serial('a second lab of the same name is refused while the first lives, and another name is not', async (t) => {
	await withScene(async ({request, remains}) => {
		const parts = createStandIns();
		const lab = await bootLab(request(), parts);
		await t.throwsAsync(bootLab(request(), createStandIns()), {instanceOf: LabError, message: /is there already: it is ready/});
		const other = await bootLab(request({name: 'two'}), createStandIns());
		t.deepEqual((await listLabs()).map(({name}) => name), ['one', 'two']);
		await lab.down();
		t.deepEqual((await listLabs()).map(({name}) => name), ['two']);
		await other.down();
		t.deepEqual(await remains(parts), []);
	});
});

test.serial('a name that would not fit is refused before anything is made', async (t) => {
	await withScene(async ({request, folder}) => {
		for (const name of ['', 'A', 'a_b', '../x', 'a'.repeat(31), '-a']) {
			await t.throwsAsync(bootLab(request({name}), createStandIns()), {message: /cannot be named/}, name);
		}

		await t.throwsAsync(stat(path.join(folder, 'state')), {code: 'ENOENT'});
	});
});

test.serial('a port that is in use is given up for a free one, and that is told', async (t) => {
	await withScene(async ({request, events}) => {
		// A test that fails leaves it open, which is no reason for the process to stay.
		const server = createServer().unref();
		await new Promise<void>((resolve) => {
			server.listen(0, '127.0.0.1', resolve);
		});
		const {port} = server.address() as {port: number};
		const plan = standInPlan();
		const lab = await bootLab(request({plan: {...plan, forwards: [{...plan.forwards[0]!, hostPort: port}]}}), createStandIns());
		t.not(lab.forwards[0]!.hostPort, port);
		t.true(events.some((event) => event.type === 'note' && event.text.includes(`Port ${port} of this computer is in use`)));
		await lab.down();
		server.close();
		const again = await bootLab(request({plan: {...plan, forwards: [{...plan.forwards[0]!, hostPort: port}]}}), createStandIns());
		t.is(again.forwards[0]!.hostPort, port);
		await again.down();
	});
});

test.serial('a port that another process takes in the last moment is given up for another', async (t) => {
	await withScene(async ({request}) => {
		const taken = new Set<number>();
		const parts = createStandIns({taken});
		let count = 0;
		const lab = await bootLab(request(), {
			...parts,
			async startMachine(spec, options) {
				count += 1;
				if (count < 3) {
					taken.add(spec.maintenance.forwards[0]!.hostPort);
				}

				return parts.startMachine(spec, options);
			},
		});
		t.is(count, 3);
		await lab.down();
	});
});

test.serial('a condition that is not met fails the boot with its sentence and the last observation', async (t) => {
	await withScene(async ({request, events, folder, remains}) => {
		const evidence = path.join(folder, 'evidence');
		await mkdir(path.join(evidence, 'cluster'), {recursive: true});
		await writeFile(path.join(evidence, 'cluster/pods.txt'), 'of an earlier run');
		const parts = createStandIns({answer: (command) => (command.startsWith('(\nlook\n)') ? {exitCode: 1, stdout: 'first\nnode is NotReady\n'} : {stdout: `output of ${command}`})});
		const error = await t.throwsAsync(
			bootLab(request({plan: standInPlan(['node-1'], [{sentence: 'the node is Ready', deadline: '300ms', command: 'look'}]), evidence}), parts),
			{instanceOf: LabError},
		);
		t.is(error.kind, 'cluster');
		t.regex(error.message, /^The machine node-1 did not become ready: the node is Ready: not within/);
		t.is(error.details[0], 'last seen: first | node is NotReady');
		t.true(error.details.includes('booting'));
		t.is(error.log, path.join(evidence, 'node-1/console.log'));
		t.deepEqual((await readdir(evidence)).sort(), ['events.jsonl', 'frames.pcapng', 'lab.json', 'node-1'], 'nothing of an earlier run is left');
		t.deepEqual(events.filter(({type}) => type === 'evidence'), [{type: 'evidence', scenario: 'tale', path: evidence, files: 7}]);
		t.deepEqual(reasons(events, 'lab'), ['starting', 'booting', 'failed', 'stopping', 'ended']);
		t.deepEqual(reasons(events, 'wait').at(-1), 'expired');
		t.is(await readFile(path.join(evidence, 'node-1/own.txt'), 'utf8'), 'output of own');
		t.regex(await readFile(path.join(evidence, 'node-1/journal.txt'), 'utf8'), /journalctl/);
		t.true((await readdir(path.join(evidence, 'node-1'))).includes('qemu.log'));
		for (const file of ['lab.json', 'events.jsonl']) {
			t.notRegex(await readFile(path.join(evidence, file), 'utf8'), /PRIVATE KEY/);
		}

		t.deepEqual(await remains(parts), []);
	});
});

test.serial('a machine that never answers fails the boot with the end of its console, and ends the others', async (t) => {
	await withScene(async ({request, remains}) => {
		const parts = createStandIns({silent: ['node-2'], speed: 1});
		const boot = bootLab(request({plan: standInPlan(['node-1', 'node-2'], [{sentence: 'never', deadline: '10m', command: 'false'}])}), {
			...parts,
			// Its deadline is half a minute: shorter here.
			connectSsh: async (options) => parts.connectSsh({...options, deadline: 100}),
			async startMachine(spec, options) {
				const machine = await parts.startMachine(spec, options);
				await writeFile(path.join(options.cwd, spec.consoleLog), 'line\n\u001B[31mKernel panic - not syncing: VFS: no root\u001B[0m\n');
				return machine;
			},
		});
		const error = await t.throwsAsync(boot, {instanceOf: LabError});
		t.is(error.kind, 'machine');
		t.regex(error.message, /crashed: Kernel panic - not syncing: VFS: no root$/);
		t.is(error.log, undefined);
		t.deepEqual(await remains(parts), []);
	});
});

test.serial('a machine that ends by itself fails the boot', async (t) => {
	await withScene(async ({request, remains}) => {
		const parts = createStandIns({silent: ['node-1']});
		const boot = bootLab(request(), {
			...parts,
			async startMachine(spec, options) {
				const machine = await parts.startMachine(spec, options);
				setTimeout(() => {
					process.kill(machine.pid, 'SIGKILL');
				}, 50);
				return machine;
			},
		});
		const error = await t.throwsAsync(boot, {instanceOf: LabError});
		t.is(error.code, 'machine-exited');
		t.is(error.exitCode, 6);
		t.deepEqual(error.details, ['some last words', 'the end of its console:', 'booting']);
		t.deepEqual(await remains(parts), []);
	});
});

test.serial('a machine that ends by itself later breaks the lab, which stays until it is taken down', async (t) => {
	await withScene(async ({request, events, remains}) => {
		const parts = createStandIns();
		const lab = await bootLab(request({plan: standInPlan(['node-1', 'node-2'])}), parts);
		process.kill(parts.machines.get('node-2')!.machine.pid, 'SIGKILL');
		await until('the lab is over', async () => (lab.over.aborted ? {met: true, value: undefined} : {met: false, seen: 'it is not'}), {deadline: 5000, interval: 20});
		t.is((lab.over.reason as LabError).code, 'machine-exited');
		t.is(lab.record.state, 'failed');
		t.deepEqual(lab.record.machines.map(({state}) => state), ['ready', 'ended']);
		t.deepEqual(reasons(events, 'lab'), ['starting', 'booting', 'ready', 'failed']);
		await lab.down();
		t.deepEqual(await remains(parts), []);
	});
});

test.serial('a full disk under a machine breaks the lab, and says so', async (t) => {
	await withScene(async ({request, remains}) => {
		const parts = createStandIns({silent: ['node-1']});
		const error = await t.throwsAsync(bootLab(request({
			events(event) {
				if (event.type === 'machine' && event.reason === 'started') {
					setTimeout(() => {
						parts.machines.get('node-1')!.tell({event: 'BLOCK_IO_ERROR', data: {nospace: true, action: 'stop'}, at: 0});
					}, 20);
				}
			},
		}), parts), {instanceOf: LabError});
		t.is(error.code, 'disk-full');
		t.deepEqual(await remains(parts), []);
	});
});

test.serial('an abort at any moment of the boot leaves nothing', async (t) => {
	const moments: Array<(event: LabEvent) => boolean> = [
		(event) => event.type === 'lab' && event.reason === 'starting',
		(event) => event.type === 'lab' && event.reason === 'booting',
		(event) => event.type === 'machine' && event.reason === 'started',
		(event) => event.type === 'machine' && event.reason === 'answers',
		(event) => event.type === 'wait' && event.sentence === 'node-1: never',
	];
	for (const moment of moments) {
		await withScene(async ({request, controller, remains, events}) => {
			const parts = createStandIns({answer: () => ({exitCode: 1})});
			const boot = bootLab(request({
				plan: standInPlan(['node-1', 'node-2'], [{sentence: 'never', deadline: '10m', command: 'false'}]),
				events(event) {
					events.push(event);
					if (moment(event)) {
						controller.abort(failure.interrupted('SIGINT'));
					}
				},
			}), parts);
			const error = await t.throwsAsync(boot, {instanceOf: LabError});
			t.is(error.kind, 'interrupted');
			t.deepEqual(await remains(parts), []);
		});
	}
});

test.serial('another process ends a lab over its socket, while it runs and while it boots', async (t) => {
	await withScene(async ({request, remains}) => {
		const parts = createStandIns();
		const lab = await bootLab(request(), parts);
		t.true(await endLab('one'));
		t.true(lab.over.aborted);
		await lab.ended;
		t.deepEqual(await remains(parts), []);
		t.false(await endLab('one'));
		const slow = createStandIns({silent: ['node-1']});
		let started: () => void = () => {};
		const starting = new Promise<void>((resolve) => {
			started = resolve;
		});
		const boot = bootLab(request({
			events(event) {
				if (event.type === 'machine' && event.reason === 'started') {
					started();
				}
			},
		}), slow);
		const rejected = t.throwsAsync(boot, {message: /Interrupted by `vmlab down`/});
		await starting;
		t.true(await endLab('one'));
		await rejected;
		t.deepEqual(await remains(slow), []);
	});
});

test.serial('a failed boot whose machines answer too slowly for evidence ends soon when somebody ends it, and with its own error', async (t) => {
	await withScene(async ({request, events, folder, remains}) => {
		let asked: () => void = () => {};
		const asking = new Promise<void>((resolve) => {
			asked = resolve;
		});
		const parts = createStandIns({
			async answer(command, _machine, signal) {
				if (command === 'own') {
					asked();
					await new Promise((_resolve, reject) => {
						signal?.addEventListener('abort', () => {
							reject(signal.reason as Error);
						});
					});
				}

				return command.startsWith('(\nlook\n)') ? {exitCode: 1, stdout: 'not yet'} : {};
			},
		});
		const plan = standInPlan(['node-1'], [{sentence: 'the node is Ready', deadline: '300ms', command: 'look'}]);
		const rejected = t.throwsAsync(bootLab(request({plan, evidence: path.join(folder, 'evidence')}), parts), {message: /the node is Ready: not within/});
		await asking;
		t.true(await endLab('one'));
		await rejected;
		t.deepEqual(reasons(events, 'lab'), ['starting', 'booting', 'failed', 'stopping', 'ended']);
		t.true(events.some(({type}) => type === 'evidence'));
		t.deepEqual(await remains(parts), []);
	});
});

test.serial('a tear-down that fails is told to whoever asked for it, and goes on with the rest', async (t) => {
	await withScene(async ({request, remains}) => {
		const parts = createStandIns();
		const lab = await bootLab(request({plan: standInPlan(['node-1', 'node-2'])}), {
			...parts,
			async startMachine(spec, options) {
				const machine = await parts.startMachine(spec, options);
				return spec.name === 'node-2' ? machine : {
					...machine,
					async powerOff() {
						await machine.powerOff();
						throw failure.waitExpired('node-1 quits', 5, 'it runs');
					},
				};
			},
		});
		await t.throwsAsync(endLab('one'), {message: 'node-1 quits: not within 5 s'});
		await t.throwsAsync(lab.down(), {message: 'node-1 quits: not within 5 s'});
		t.deepEqual(await remains(parts), []);
		t.false(await endLab('one'));
	});
});

test.serial('machines that may use more memory than is available are warned of', async (t) => {
	await withScene(async ({request, events, remains}) => {
		const warnings = (): string[] => events.flatMap((event) => (event.type === 'note' && event.level === 'warning' ? [event.text] : []));
		const lab = await bootLab(request(), createStandIns());
		await lab.down();
		t.deepEqual(warnings(), []);
		const parts = createStandIns();
		const plan = standInPlan();
		// More than any computer has: it does not fit into files either.
		const vast = {...plan, machines: plan.machines.map((machine) => ({...machine, memory: 2 ** 52}))};
		await t.throwsAsync(bootLab(request({plan: vast}), parts), {instanceOf: LabError, code: 'no-room-for-memory'});
		t.is(warnings().length, 1);
		t.regex(warnings()[0]!, /GiB of memory are available, the machines may use 4194304\.0 GiB\. End other programs or labs/);
		t.deepEqual(await remains(parts), []);
	});
});

test.serial('a path too long for a socket is no hindrance', async (t) => {
	await withScene(async ({request, folder}) => {
		const before = process.env['VMLAB_STATE_DIR'];
		process.env['VMLAB_STATE_DIR'] = path.join(folder, 'x'.repeat(120), 'state');
		try {
			const lab = await bootLab(request(), createStandIns());
			t.is((await readLab('one')).state, 'ready');
			t.true(await endLab('one'));
			await lab.ended;
		} finally {
			process.env['VMLAB_STATE_DIR'] = before;
		}
	});
});
