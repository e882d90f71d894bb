/** Faults of machines of a lab whose machines are stand-ins: what QEMU and the machines are told, what is told of it, and that the lab does not count it as broken. */
import {appendFile, mkdir, readFile, stat} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type {LabEvent} from '../../lab/event/event.ts';
import {failure} from '../../lab/host/failure.ts';
import {isAlive} from '../../lab/host/process.ts';
import {until} from '../../lab/host/wait.ts';
import {diskDevice} from '../../lab/machine/arguments.ts';
import {attachLab} from '../../lab/runtime/attached-lab.ts';
import {openFaults} from '../../lab/runtime/faults.ts';
import {bootLab, type Lab, type LabParts} from '../../lab/runtime/lab.ts';
import {connectMachine, readLab, statusOf} from '../../lab/runtime/labs.ts';
import {endLab} from '../../lab/runtime/supervisor-client.ts';
import type {ReadyCondition} from '../../lab/spec/overlay.ts';
import {createStandIns, type StandIns, standInPlan, standInStages, withStateFolder} from './stand-ins.ts';

interface Scene {
	readonly lab: Lab;
	readonly parts: StandIns;
	readonly folder: string;
	readonly events: LabEvent[];
	/** What the machine was told to do, as its shell has it. */
	readonly commands: string[];
	/** Of node-1. */
	state(): [state: string, faults: readonly string[] | undefined];
	/** The faults that were told: 'fault paused', 'recovered paused', 'reset'. */
	told(): string[];
	/** What the monitor of node-1 was told since it was powered on last. */
	monitor(): string[];
}

async function withScene(use: (scene: Scene) => Promise<void>, options: {answer?: (command: string, machine: string) => {exitCode?: number; stdout?: string; stderr?: string}; ready?: readonly ReadyCondition[]; parts?: (own: StandIns) => Partial<LabParts>} = {}): Promise<void> {
	await withStateFolder(async (folder) => {
		const events: LabEvent[] = [];
		const commands: string[] = [];
		const parts = createStandIns({answer(command, machine) {
			commands.push(command);
			return options.answer?.(command, machine) ?? {};
		}});
		const lab = await bootLab({
			name: 'one', scenario: 'tale', plan: standInPlan(['node-1', 'node-2'], options.ready), made: await standInStages(folder), signal: new AbortController().signal,
			events(event) {
				events.push(event);
			},
		}, {...parts, ...options.parts?.(parts)});
		commands.length = 0;
		try {
			await use({
				lab, parts, folder, events, commands,
				state: () => {
					const {state, faults} = lab.record.machines.find(({name}) => name === 'node-1')!;
					return [state, faults];
				},
				told: () => events.flatMap((event) => (event.type !== 'machine' || event.machine !== 'node-1' ? [] : 'fault' in event ? [`${event.reason} ${event.fault}`] : event.reason === 'reset' ? ['reset'] : [])),
				monitor: () => parts.machines.get('node-1')!.commands.map(([command, args]) => (args === undefined ? command : `${command} ${JSON.stringify(args)}`)),
			});
		} finally {
			await lab.down();
		}
	});
}

test.serial('a machine is paused and goes on, and that is told and written down', async (t) => {
	await withScene(async ({lab, monitor, state, told}) => {
		await lab.changeMachine({kind: 'pause', machine: 'node-1'});
		t.deepEqual(monitor(), ['stop']);
		t.deepEqual(state(), ['paused', ['paused']]);
		t.deepEqual((await lab.machineReports())[0], {machine: 'node-1', state: 'paused', faults: {paused: true}});
		await t.throwsAsync(lab.ssh('node-1'), {code: 'machine-stands-still', message: 'The machine node-1 is paused'});
		await t.notThrowsAsync(lab.ssh('node-2'));
		await t.throwsAsync(connectMachine(await readLab('one'), 'node-1'), {code: 'machine-stands-still'});
		t.deepEqual(statusOf(await readLab('one')).machines.map(({state: of, faults}) => [of, faults]), [['paused', ['paused']], ['ready', []]]);
		// Twice is once.
		await lab.changeMachine({kind: 'pause', machine: 'node-1'});
		await lab.changeMachine({kind: 'resume', machine: 'node-1'});
		t.deepEqual(monitor(), ['stop', 'cont']);
		t.deepEqual(state(), ['ready', []]);
		t.deepEqual(told(), ['fault paused', 'recovered paused']);
		t.false(lab.over.aborted);
	});
});

test.serial('a machine whose power is cut ends at once, and the lab goes on; powered on it boots from the same disk, at the same ports, with nothing in its memory', async (t) => {
	await withScene(async ({lab, parts, events, state, told}) => {
		const before = parts.machines.get('node-1')!;
		const memory = before.spec.memoryFile;
		await appendFile(memory, 'beyond');
		const {port} = lab.record.machines[0]!.ssh;
		const {forwards} = lab;
		await lab.changeMachine({kind: 'kill', machine: 'node-1'});
		t.false(await isAlive(before.machine.identity));
		t.deepEqual(state(), ['off', ['off']]);
		t.is(lab.record.machines[0]!.pid, null);
		t.true(events.some((event) => event.type === 'machine' && event.reason === 'exited' && event.machine === 'node-1' && event.expected === true));
		await t.throwsAsync(lab.ssh('node-1'), {message: 'The machine node-1 is off'});
		for (const change of [{kind: 'pause'}, {kind: 'reset'}, {kind: 'hang-disk'}, {kind: 'skew-clock', skew: 1}, {kind: 'fill-disk', fill: {path: '/', leave: 0}}] as const) {
			await t.throwsAsync(lab.changeMachine({...change, machine: 'node-1'}), {message: 'The machine node-1 is off'}, change.kind);
		}

		await lab.changeMachine({kind: 'start', machine: 'node-1'});
		await lab.machineReady('node-1');
		const after = parts.machines.get('node-1')!;
		t.not(after.machine.pid, before.machine.pid);
		t.true(await isAlive(after.machine.identity));
		t.is(after.spec.disk, before.spec.disk);
		t.true(after.spec.boots);
		t.true(Math.abs(after.spec.clock! - Date.now()) < 60_000);
		t.is((await stat(memory)).size, after.spec.memory, 'it was emptied, and has its size again');
		t.is(lab.record.machines[0]!.ssh.port, port);
		t.deepEqual(lab.forwards, forwards);
		t.deepEqual(state(), ['ready', []]);
		t.deepEqual(told(), ['fault off', 'recovered off']);
		t.is(lab.record.state, 'ready');
		t.false(lab.over.aborted);
		// It is watched as it was before.
		process.kill(after.machine.pid, 'SIGKILL');
		await until('the lab is over', async () => (lab.over.aborted ? {met: true, value: undefined} : {met: false, seen: 'it is not'}), {deadline: 5000, interval: 20});
	});
});

test.serial('control: the same end of a machine that nobody asked for breaks the lab', async (t) => {
	await withScene(async ({lab, parts, events}) => {
		await parts.machines.get('node-1')!.machine.kill();
		await until('the lab is over', async () => (lab.over.aborted ? {met: true, value: undefined} : {met: false, seen: 'it is not'}), {deadline: 5000, interval: 20});
		t.false(events.some((event) => event.type === 'machine' && event.reason === 'exited' && event.expected === true));
	});
});

test.serial('a machine that is reset is waited for until it is ready anew, and what was wrong inside of it is over', async (t) => {
	let isUp = true;
	const ready = [{sentence: 'it is up', deadline: '20s', command: 'up'}] as const;
	await withScene(async ({lab, parts, state, told, monitor}) => {
		const open = await lab.ssh('node-1');
		await lab.changeMachine({kind: 'skew-clock', machine: 'node-1', skew: 1000});
		await lab.changeMachine({kind: 'take-memory', machine: 'node-1', memory: {share: 0.5}});
		await lab.changeMachine({kind: 'fill-disk', machine: 'node-1', fill: {path: '/', leave: 0}});
		isUp = false;
		await lab.changeMachine({kind: 'reset', machine: 'node-1'});
		t.deepEqual(monitor(), ['system_reset']);
		// The machine knows nothing of the connection.
		await open.closed;
		const stop = new AbortController();
		const waiting = lab.machineReady('node-1', stop.signal);
		t.is(state()[0] === 'ready', false);
		stop.abort(failure.interrupted('the test'));
		await t.throwsAsync(waiting, {code: 'interrupted'}, 'who waits no longer is let go');
		isUp = true;
		// What it writes when its first process runs.
		const {spec} = parts.machines.get('node-1')!;
		await appendFile(path.join(lab.folder, spec.consoleLog), 'vmlab: the first process runs\n');
		await lab.machineReady('node-1');
		t.deepEqual(state(), ['ready', ['disk full']]);
		t.deepEqual(told().slice().sort(), ['fault clock +1s', 'fault 50% of memory taken', 'fault disk full', 'reset', 'recovered clock +1s', 'recovered 50% of memory taken'].sort());
	}, {ready, answer: (command) => (command.startsWith('(\nup\n)') ? {exitCode: isUp ? 0 : 1} : {})});
});

test.serial('a machine that does not get ready with a full disk gets that emptied, is not frozen, and is looked at again', async (t) => {
	let isUp = true;
	const ready = [{sentence: 'it is up', deadline: '200ms', command: 'up'}] as const;
	await withScene(async ({lab, parts, commands, state, folder}) => {
		const freeze = async (): Promise<void> => lab.freeze(path.join(folder, 'frozen'), {} as never, {goesOn: true});
		await lab.changeMachine({kind: 'fill-disk', machine: 'node-1', fill: {path: '/', leave: 0}});
		isUp = false;
		await lab.changeMachine({kind: 'reset', machine: 'node-1'});
		const {spec} = parts.machines.get('node-1')!;
		await appendFile(path.join(lab.folder, spec.consoleLog), 'vmlab: the first process runs\n');
		t.regex((await t.throwsAsync(freeze(), {code: 'faults-in-force'})).message, /node-1: coming up/);
		await t.throwsAsync(lab.machineReady('node-1'), {code: 'machine-not-ready'});
		commands.length = 0;
		await lab.changeMachine({kind: 'recover', machine: 'node-1'});
		t.true(commands.some((command) => command.includes('rm -f') && command.includes('.vmlab-fill')), commands.join(' | '));
		t.regex((await t.throwsAsync(freeze(), {code: 'faults-in-force'})).message, /node-1: not ready$/);
		isUp = true;
		await lab.machineReady('node-1');
		t.deepEqual(state(), ['ready', []]);
		t.notRegex((await t.throwsAsync(freeze())).message, /as they should be/);
	}, {ready, answer: (command) => (command.startsWith('(\nup\n)') ? {exitCode: isUp ? 0 : 1} : {})});
});

test.serial('a machine that reboots by itself has its clock and its memory again, and is waited for until it is ready anew', async (t) => {
	let isUp = true;
	const ready = [{sentence: 'it is up', deadline: '20s', command: 'up'}] as const;
	await withScene(async ({lab, parts, state, told, events, folder, monitor}) => {
		const machine = parts.machines.get('node-1')!;
		const open = await lab.ssh('node-1');
		await lab.changeMachine({kind: 'skew-clock', machine: 'node-1', skew: -90_000});
		t.deepEqual(state(), ['ready', ['clock -90s']]);
		isUp = false;
		machine.tell({event: 'RESET', data: {guest: true}, at: 0});
		t.deepEqual(state()[1], []);
		await open.closed;
		t.regex((await t.throwsAsync(lab.freeze(path.join(folder, 'frozen'), {} as never, {goesOn: true}), {code: 'faults-in-force'})).message, /node-1: coming up/);
		await until('it is no more told to be ready', async () => (state()[0] === 'ready' ? {met: false, seen: 'ready'} : {met: true, value: undefined}), {deadline: 10_000, interval: 20});
		// It answers, and reboots again before it is ready: who waits for it waits for that boot too.
		await until('it answers', async () => (state()[0] === 'answers' ? {met: true, value: undefined} : {met: false, seen: state()[0]}), {deadline: 10_000, interval: 20});
		const waiting = lab.machineReady('node-1');
		machine.tell({event: 'RESET', data: {guest: true}, at: 0});
		isUp = true;
		await appendFile(path.join(lab.folder, machine.spec.consoleLog), 'vmlab: the first process runs\n');
		await waiting;
		t.deepEqual(state(), ['ready', []]);
		t.deepEqual(told().filter((each) => each === 'reset'), ['reset', 'reset']);
		t.true(events.some((event) => event.type === 'machine' && event.reason === 'reset' && event.byItself === true));
		t.deepEqual(monitor(), []);
	}, {ready, answer: (command) => (command.startsWith('(\nup\n)') ? {exitCode: isUp ? 0 : 1} : {})});
});

test.serial('a machine that did not get ready after a reboot is waited for when it begins anew', async (t) => {
	let isUp = true;
	const ready = [{sentence: 'it is up', deadline: '200ms', command: 'up'}] as const;
	await withScene(async ({lab, parts, state}) => {
		const machine = parts.machines.get('node-1')!;
		isUp = false;
		machine.tell({event: 'RESET', data: {guest: true}, at: 0});
		await t.throwsAsync(lab.machineReady('node-1'), {code: 'machine-not-ready'});
		isUp = true;
		machine.tell({event: 'RESET', data: {guest: true}, at: 0});
		await until('it is ready', async () => (state()[0] === 'ready' ? {met: true, value: undefined} : {met: false, seen: state()[0]}), {deadline: 10_000, interval: 20});
	}, {ready, answer: (command) => (command.startsWith('(\nup\n)') ? {exitCode: isUp ? 0 : 1} : {})});
});

test.serial('what QEMU said of a machine before its power was cut starts nothing', async (t) => {
	await withScene(async ({lab, parts, state, told}) => {
		const machine = parts.machines.get('node-1')!;
		await lab.changeMachine({kind: 'kill', machine: 'node-1'});
		machine.tell({event: 'RESET', data: {guest: true}, at: 0});
		await lab.machineReports();
		t.deepEqual(state()[0], 'off');
		t.false(told().includes('reset'));
		await lab.changeMachine({kind: 'start', machine: 'node-1'});
		await lab.machineReady('node-1');
	});
});

test.serial('a machine is told to reboot, and that is done when it has shut down', async (t) => {
	await withScene(async ({lab, parts, commands, state, told}) => {
		const machine = parts.machines.get('node-1')!;
		await lab.changeMachine({kind: 'skew-clock', machine: 'node-1', skew: 1000});
		commands.length = 0;
		let isDone = false;
		const rebooting = lab.changeMachine({kind: 'reboot', machine: 'node-1'}).then(() => {
			isDone = true;
		});
		await until('it is told', async () => (commands.some((command) => command.endsWith('systemctl reboot')) ? {met: true, value: undefined} : {met: false, seen: commands.join()}), {deadline: 10_000, interval: 20});
		t.false(isDone, 'it shuts down');
		machine.tell({event: 'RESET', data: {guest: true}, at: 0});
		await rebooting;
		await lab.machineReady('node-1');
		t.deepEqual(state(), ['ready', []]);
		t.deepEqual(told(), ['fault clock +1s', 'recovered clock +1s', 'reset']);
	});
});

test('a lab is not kept where a machine reboots while it is frozen', async (t) => {
	const faults = openFaults({
		lab: 'one', machines: ['node-1'], pace: () => 1, signal: new AbortController().signal,
		monitorOf: () => t.fail() as never, connect: () => t.fail() as never, forgetConnections() {}, async cutPower() {}, async givePower() {},
		bringUp: async () => new Promise(() => {}), consoleLength: async () => 0, changed() {}, stateOf: () => 'ready', tell() {}, warn() {},
	});
	t.is(await faults.without(async () => 'frozen'), 'frozen');
	await t.throwsAsync(faults.without(async () => {
		faults.rebooted('node-1', {byItself: true});
	}), {code: 'faults-in-force', message: /node-1: coming up$/});
});

test.serial('a machine that hangs while it reboots by itself is started again', async (t) => {
	let isUp = true;
	await withScene(async ({lab, parts, monitor, state, events}) => {
		const machine = parts.machines.get('node-1')!;
		isUp = false;
		machine.tell({event: 'RESET', data: {guest: true}, at: 0});
		await until('the machine is reset', async () => (monitor().includes('system_reset') ? {met: true, value: undefined} : {met: false, seen: monitor().join()}), {deadline: 60_000, interval: 100});
		t.true(events.some((event) => event.type === 'note' && /^node-1 did not come to its first process within .*: it is started again$/.test(event.text)));
		isUp = true;
		await appendFile(path.join(lab.folder, machine.spec.consoleLog), 'vmlab: the first process runs\n');
		await lab.machineReady('node-1');
		t.is(state()[0], 'ready');
	}, {parts: (own) => ({
		async connectSsh(options) {
			await until('the machine is up', async () => (isUp ? {met: true, value: undefined} : {met: false, seen: 'it is not'}), {deadline: options.deadline, interval: 100, signal: options.signal});
			return own.connectSsh(options);
		},
	})});
});

test.serial('a disk hangs by a throttle that nothing gets through, and what waited is let go', async (t) => {
	await withScene(async ({lab, monitor, state}) => {
		await lab.changeMachine({kind: 'hang-disk', machine: 'node-1'});
		const none = {bps: 0, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0};
		t.deepEqual(monitor().map((each) => each.split(' ')[0]), ['block_set_io_throttle', 'human-monitor-command']);
		t.like(JSON.parse(monitor()[0]!.replace(/^\S+ /, '')), {...none, id: diskDevice, bps: 1});
		t.deepEqual(JSON.parse(monitor()[1]!.replace(/^\S+ /, '')), {'command-line': `qemu-io -d ${diskDevice} "aio_read -q 0 1M"`});
		t.deepEqual(state(), ['ready', ['disk hangs']]);
		await lab.changeMachine({kind: 'recover', machine: 'node-1'});
		t.like(JSON.parse(monitor().at(-1)!.replace(/^\S+ /, '')), {...none, id: diskDevice});
		t.deepEqual(state(), ['ready', []]);
	});
});

test.serial('faults from inside are made and ended by commands, and each replaces the one before', async (t) => {
	await withScene(async ({lab, commands, told}) => {
		const since = (): string => commands.splice(0).join('\n');
		await lab.changeMachine({kind: 'fill-disk', machine: 'node-1', fill: {path: '/var/lib/etcd', leave: 1024 ** 2}});
		t.regex(since(), /fallocate .* \/var\/lib\/etcd\/\.vmlab-fill/);
		await lab.changeMachine({kind: 'fill-disk', machine: 'node-1', fill: {path: '/', leave: 0}});
		t.regex(since(), /^set -eu\nrm -f -- \/var\/lib\/etcd\/\.vmlab-fill\nset -eu\n[^]*fallocate .* \/\.vmlab-fill/);
		await lab.changeMachine({kind: 'skew-clock', machine: 'node-1', skew: 90_500});
		t.regex(since(), /, 90, 500000;/);
		await lab.changeMachine({kind: 'skew-clock', machine: 'node-1', skew: -500});
		t.regex(since(), /, -91, 0;/, 'by the difference');
		await lab.changeMachine({kind: 'take-memory', machine: 'node-1', memory: {bytes: 10 * 1024 ** 2}});
		t.regex(since(), /wanted=10240\n/);
		await lab.changeMachine({kind: 'recover', machine: 'node-1'});
		const ended = since();
		t.regex(ended, /umount/);
		t.regex(ended, /rm -f -- \/\.vmlab-fill/);
		t.regex(ended, /, 0, 500000;/);
		t.deepEqual(told(), [
			'fault disk full but for 1MiB at /var/lib/etcd', 'recovered disk full but for 1MiB at /var/lib/etcd', 'fault disk full', 'fault clock +90.5s', 'recovered clock +90.5s', 'fault clock -500ms',
			'fault 10MiB of memory taken', 'recovered 10MiB of memory taken', 'recovered disk full', 'recovered clock -500ms',
		]);
	});
});

test.serial('a fault that the machine cannot make is told with what it said, and is not in force', async (t) => {
	await withScene(async ({lab, state}) => {
		const error = await t.throwsAsync(lab.changeMachine({kind: 'take-memory', machine: 'node-1', memory: {share: 0.9}}));
		t.is(error.message, 'The machine node-1 could not take memory: 100 MiB are wanted, and 50 MiB are available');
		t.deepEqual(state()[1], undefined);
	}, {answer: () => ({exitCode: 1, stderr: '100 MiB are wanted, and 50 MiB are available\n'})});
});

test.serial('what was wrong is put back in an order in which it can be, whatever has happened since', async (t) => {
	await withScene(async ({lab, commands, monitor, state}) => {
		await lab.changeMachine({kind: 'skew-clock', machine: 'node-1', skew: 1000});
		await lab.changeMachine({kind: 'hang-disk', machine: 'node-1'});
		await lab.changeMachine({kind: 'pause', machine: 'node-1'});
		commands.length = 0;
		const {length} = monitor();
		await lab.changeMachine({kind: 'put', machine: 'node-1', faults: {disk: 'hung', paused: true}});
		t.deepEqual(monitor().slice(length).map((each) => each.split(' ')[0]), ['cont', 'block_set_io_throttle', 'block_set_io_throttle', 'human-monitor-command', 'stop'], 'a machine that is to move its clock must run meanwhile');
		t.is(commands.length, 1);
		t.deepEqual(state(), ['paused', ['paused', 'disk hangs']]);
		await lab.changeMachine({kind: 'kill', machine: 'node-1'});
		t.is(commands.length, 1, 'whose power is cut is asked for nothing');
		await lab.changeMachine({kind: 'put', machine: 'node-1', faults: {paused: true, skew: -1000}});
		t.deepEqual(state(), ['paused', ['paused', 'clock -1s']]);
		await lab.changeMachine({kind: 'put', machine: 'node-1', faults: {power: 'off'}});
		t.deepEqual(state(), ['off', ['off']]);
	});
});

test.serial('a lab is not frozen while something is wrong with its machines', async (t) => {
	await withScene(async ({lab, folder}) => {
		const freeze = async (): Promise<void> => lab.freeze(path.join(folder, 'frozen'), {} as never, {goesOn: true});
		await lab.changeMachine({kind: 'pause', machine: 'node-1'});
		await lab.changeMachine({kind: 'hang-disk', machine: 'node-2'});
		const error = await t.throwsAsync(freeze(), {code: 'faults-in-force'});
		t.regex(error.message, /node-1: paused and node-2: disk hangs$/);
		await lab.changeMachine({kind: 'recover', machine: 'node-1'});
		await lab.changeMachine({kind: 'recover', machine: 'node-2'});
		// It fails by what stand-ins have not, and not by faults.
		const other = await t.throwsAsync(freeze());
		t.notRegex(other.message, /as they should be/);
	});
});

test.serial('a lab with a paused machine, one without power and one whose power comes back goes down at once, and leaves nothing', async (t) => {
	await withScene(async ({lab, parts}) => {
		await lab.changeMachine({kind: 'kill', machine: 'node-1'});
		await lab.changeMachine({kind: 'pause', machine: 'node-2'});
		const coming = lab.changeMachine({kind: 'start', machine: 'node-1'}).catch(() => {});
		const begin = performance.now();
		t.true(await endLab('one'));
		await lab.ended;
		await coming;
		t.true(performance.now() - begin < 10_000);
		for (const {machine} of parts.machines.values()) {
			t.false(await isAlive(machine.identity));
		}
	});
});

test.serial('evidence says of a machine that stands still that it does, and asks the others', async (t) => {
	await withScene(async ({lab, folder}) => {
		await lab.changeMachine({kind: 'pause', machine: 'node-1'});
		const target = path.join(folder, 'evidence');
		await mkdir(target);
		await lab.collectEvidence(target);
		t.is(await readFile(path.join(target, 'node-1/missing.txt'), 'utf8'), 'The machine could not be asked: it was paused, on purpose\n');
		t.is(await readFile(path.join(target, 'node-2/own.txt'), 'utf8'), '');
	});
});

test.serial('evidence says of a machine that has not answered since it rebooted that it was not asked', async (t) => {
	let isUp = true;
	await withScene(async ({lab, parts, folder, state}) => {
		isUp = false;
		parts.machines.get('node-1')!.tell({event: 'RESET', data: {guest: true}, at: 0});
		await until('it boots', async () => (state()[0] === 'booting' ? {met: true, value: undefined} : {met: false, seen: state()[0]}), {deadline: 10_000, interval: 20});
		const target = path.join(folder, 'evidence');
		await mkdir(target);
		await lab.collectEvidence(target);
		t.regex(await readFile(path.join(target, 'node-1/missing.txt'), 'utf8'), /^The machine was not asked: it has not answered since it was powered on or began anew/);
		t.is(await readFile(path.join(target, 'node-2/own.txt'), 'utf8'), '');
	}, {parts: (own) => ({
		async connectSsh(options) {
			await until('the machine is up', async () => (isUp || options.machine !== 'node-1' ? {met: true, value: undefined} : {met: false, seen: 'it is not'}), {deadline: options.deadline, interval: 100, signal: options.signal});
			return own.connectSsh(options);
		},
	})});
});

test.serial('another process makes faults over the socket, is told of them, and waits for machines', async (t) => {
	await withScene(async ({lab, folder}) => {
		const events: LabEvent[] = [];
		const attached = attachLab(await readLab('one'), lab.plan, await standInStages(folder), (event) => {
			events.push(event);
		});
		await attached.changeMachine({kind: 'kill', machine: 'node-1'});
		t.like((await attached.machineReports())[0], {state: 'off', faults: {power: 'off'}});
		await t.throwsAsync(attached.ssh('node-1'), {code: 'machine-stands-still'});
		await t.throwsAsync(attached.machineReady('node-1'), {code: 'machine-stands-still'});
		await attached.changeMachine({kind: 'put', machine: 'node-1', faults: {}});
		await attached.machineReady('node-1');
		t.like((await attached.machineReports())[0], {state: 'ready', faults: {}});
		await t.throwsAsync(attached.changeMachine({kind: 'pause', machine: 'node-3'}), {code: 'unknown-machine'});
		await until('all is told', async () => (events.some((event) => event.type === 'machine' && event.reason === 'ready') ? {met: true, value: undefined} : {met: false, seen: JSON.stringify(events)}), {deadline: 5000, interval: 20});
		t.deepEqual(events.flatMap((event) => (event.type === 'machine' ? [event.reason] : [])), ['fault', 'exited', 'started', 'recovered', 'answers', 'ready']);
		attached.detach();
	});
});
