/** Labs that are frozen and forked: what a fork has of the lab that was frozen, what it must not have, and that none changes it. */
import {once} from 'node:events';
import {readdir, readFile, stat} from 'node:fs/promises';
import {createConnection} from 'node:net';
import path from 'node:path';
import test, {type ExecutionContext} from 'ava';
import type {LabEvent} from '../../lab/event/event.ts';
import {digestTree} from '../../lab/host/digest.ts';
import {until} from '../../lab/host/wait.ts';
import {probeAccelerator} from '../../lab/machine/accelerator.ts';
import {connectConsole} from '../../lab/machine/console.ts';
import {startMachine} from '../../lab/machine/machine.ts';
import {connectSsh} from '../../lab/machine/ssh.ts';
import {startFabric} from '../../lab/fabric/fabric.ts';
import {fork, type ForkedLab} from '../../lab/index.ts';
import {readFrozenLab} from '../../lab/runtime/frozen-lab.ts';
import {findKeptLab} from '../../lab/runtime/kept-lab.ts';
import {bootLab} from '../../lab/runtime/lab.ts';
import {listLabs, readLab} from '../../lab/runtime/labs.ts';
import {openStore} from '../../lab/store/open-store.ts';
import {readEvents} from '../rig/events-file.ts';
import {forkBenchFor, scenario} from '../rig/fork-bench.ts';
import {remainsOf} from '../rig/remains.ts';

const bench = forkBenchFor(test);
const long = 30 * 60_000;
const {signal} = new AbortController();

test.serial.afterEach.always('what a failed test left is ended', async () => {
	await bench.run(['down', '--all']);
});

const reasonsOf = (events: readonly LabEvent[], lab: string): string[] => events.flatMap((event) => (event.type === 'lab' && event.lab === lab ? [event.reason] : []));

/** What the events of a report say of the stage that is the ready lab. */
async function readyStageIn(report: string): Promise<string[]> {
	return (await readEvents(path.join(report, 'events.jsonl'))).flatMap((event) => (event.type === 'stage' && event.stage === 'ready lab' ? [event.reason] : []));
}

/** Starts forks, gives them to `use`, and ends them. */
async function withForks(count: number, use: (...forks: ForkedLab[]) => Promise<void>): Promise<void> {
	const forks: ForkedLab[] = [];
	try {
		for (let index = 0; index < count; index++) {
			forks.push(await fork(scenario));
		}

		await use(...forks);
	} finally {
		await Promise.all(forks.map(async (each) => each.down()));
	}
}

async function nothingLeft(t: ExecutionContext, ...names: string[]): Promise<void> {
	for (const name of names) {
		t.deepEqual(await remainsOf({name, state: bench.state}), []);
	}

	t.deepEqual(await listLabs(), []);
	t.deepEqual(await readdir(path.join(bench.state, 'labs')), []);
}

test.serial('the first run of a scenario boots its lab and freezes it, and the second is a fork of that', async (t) => {
	t.timeout(long);
	const [first, second] = ['first', 'second'].map((name) => path.join(bench.folder, name)) as [string, string];
	await bench.expect(t, 0, ['run', scenario, '--report', first]);
	t.deepEqual(await readyStageIn(first), ['started', 'made']);
	const [ready] = await bench.stages('ready lab');
	t.not(ready, undefined);
	const boots = (await readEvents(path.join(first, 'events.jsonl'))).filter((event) => event.type === 'lab' && event.reason === 'booting');
	t.is(boots.length, 1);
	t.deepEqual(reasonsOf(await readEvents(path.join(first, 'events.jsonl')), scenario), ['starting', 'forking', 'ready', 'stopping', 'ended'], 'the scenario runs in a fork too');

	await bench.expect(t, 0, ['run', scenario, '--report', second]);
	t.deepEqual(await readyStageIn(second), ['cached']);
	const events = await readEvents(path.join(second, 'events.jsonl'));
	t.deepEqual(reasonsOf(events, scenario), ['starting', 'forking', 'ready', 'stopping', 'ended']);
	t.false(events.some((event) => event.type === 'stage' && event.reason === 'made'));
	t.true(events.some((event) => event.type === 'scenario' && event.reason === 'passed'));
	await nothingLeft(t, scenario);
});

test.serial('forks side by side have the same addresses, and do not see each other', async (t) => {
	t.timeout(long);
	await withForks(2, async (one, two) => {
		const addresses = async (lab: ForkedLab): Promise<string> => (await lab.machine('node-1').$`ip -o address show dev eth1`).stdout;
		t.regex(await addresses(one), /192\.168\.1\.1\/24/);
		t.is(await addresses(one), await addresses(two));
		await one.machine('node-1').writeFile('/root/mark', 'one');
		t.is((await two.machine('node-1').try$`cat /root/mark`).exitCode, 1);
		await one.machine('node-2').$`ip link set dev eth1 down`;
		await two.machine('node-1').$`ping -c 1 -W 20 192.168.1.2`;
		// The same question in the other one has nobody to answer it: not its own node-2, and not that of the sibling.
		await one.machine('node-1').fail$`ping -c 2 -i 0.2 -W 5 192.168.1.2`;
		t.is(one.lab.machines.length, 2);
		t.false(one.over.aborted);
	});
	await nothingLeft(t);
});

/** The cookie of the first message of an ssh server (RFC 4253, sections 4.2, 6 and 7.1), as it comes over the wire. */
async function sshCookie(lab: ForkedLab): Promise<string> {
	const {machines} = await readLab(lab.name);
	const socket = createConnection({host: '127.0.0.1', port: machines[0]!.ssh.port});
	await once(socket, 'connect');
	const chunks: Buffer[] = [];
	socket.on('data', (chunk: Buffer) => {
		chunks.push(chunk);
	});
	socket.write('SSH-2.0-test\r\n');
	try {
		return await until('the server\'s first message comes', async () => {
			const data = Buffer.concat(chunks);
			const begin = data.indexOf('\r\n') + 2;
			// Length, padding, the number of the message, and the cookie.
			return begin > 1 && data.length >= begin + 22 && data[begin + 5] === 20
				? {met: true, value: data.toString('hex', begin + 6, begin + 22)}
				: {met: false, seen: data.toString('latin1')};
		}, {deadline: 60_000, interval: 100});
	} finally {
		socket.destroy();
	}
}

test.serial('forks make different random numbers', async (t) => {
	t.timeout(long);
	await withForks(2, async (one, two) => {
		const both = async (look: (lab: ForkedLab) => Promise<string>): Promise<string[]> => [await look(one), await look(two)];
		const looks: Readonly<Record<string, (lab: ForkedLab) => Promise<string>>> = {
			'the kernel\'s uuids': async (lab) => (await lab.machine('node-1').$`for i in $(seq 20); do read -r uuid </proc/sys/kernel/random/uuid; echo $uuid; done`).stdout,
			'/dev/urandom': async (lab) => (await lab.machine('node-2').$`head -c 32 /dev/urandom | od -An -tx1 -w32`).stdout,
			'the cookie of an ssh server that ran when it was frozen': sshCookie,
		};
		for (const [what, look] of Object.entries(looks)) {
			const [a, b] = await both(look);
			t.true(a!.length >= 32, what);
			t.deepEqual(a!.split('\n').filter((line) => b!.split('\n').includes(line)), [], what);
		}
	});
});

/** A fork whose random numbers are looked at when it goes on, before and after it is told that it is one. */
async function uuidsOf(name: string): Promise<{before: string[]; after: string[]}> {
	const store = await openStore();
	const {plan, made} = await findKeptLab('frozen', 'control', store, signal);
	let before: string[] | undefined;
	const read = async (folder: string, machine: string, mark: string): Promise<string[]> => {
		const line = await connectConsole(path.join(folder, machine, 'console.sock'));
		try {
			let text = '';
			line.setEncoding('latin1');
			line.on('data', (chunk: string) => {
				text += chunk;
			});
			// All of it in the shell that waits there since before the freeze.
			line.write(`for i in 1 2 3 4 5 6 7 8 9 10 11 12; do read -r u </proc/sys/kernel/random/uuid; echo ${mark}=$u; done; echo ${mark}-''end\n`);
			return await until('the console answers', async () => (text.includes(`${mark}-end`)
				? {met: true, value: [...text.matchAll(new RegExp(`${mark}=([\\da-f-]{36})`, 'g'))].map(([, uuid = '']) => uuid)}
				: {met: false, seen: JSON.stringify(text)}), {deadline: 120_000, interval: 50});
		} finally {
			line.destroy();
		}
	};

	const lab = await bootLab({name, plan, made, events() {}, signal}, {
		probeAccelerator, startFabric, connectSsh,
		async startMachine(spec, options) {
			const machine = await startMachine(spec, options);
			if (spec.name !== 'node-1') {
				return machine;
			}

			const {qmp} = machine;
			return {
				...machine,
				qmp: {
					...qmp,
					async execute(command, args, more) {
						const answer = await qmp.execute(command, args, more);
						if (command === 'cont') {
							before = await read(options.cwd, spec.name, 'before');
						}

						return answer;
					},
				},
			};
		},
	});
	try {
		return {before: before ?? [], after: await read(lab.folder, 'node-1', 'after')};
	} finally {
		await lab.down();
	}
}

test.serial('control: until they are told that they are forks, they make the same random numbers', async (t) => {
	t.timeout(long);
	await bench.expect(t, 0, ['up', scenario, '--name', 'origin']);
	// Somebody is at the console, so that no program has to be started in the fork before the question is answered.
	const line = await connectConsole(path.join(bench.state, 'labs/origin/node-1/console.sock'));
	let text = '';
	line.on('data', (chunk: Buffer) => {
		text += chunk.toString();
	});
	await until('a shell answers', async () => {
		line.write('\necho it is"" there\n');
		return text.includes('it is there') ? {met: true, value: undefined} : {met: false, seen: text};
	}, {deadline: 120_000, interval: 2000});
	line.write('echo the"" last\n');
	await until('nothing is typed that was not read', async () => (text.includes('the last') ? {met: true, value: undefined} : {met: false, seen: text}), {deadline: 120_000, interval: 100});
	line.destroy();
	await bench.expect(t, 0, ['freeze', 'origin', 'control']);
	await bench.expect(t, 0, ['down', 'origin']);
	const one = await uuidsOf('one');
	const two = await uuidsOf('two');
	t.is(one.before.length, 12);
	const same = (a: readonly string[], b: readonly string[]): string[] => a.filter((uuid) => b.includes(uuid));
	t.true(same(one.before, two.before).length > 0, `${one.before.join(' ')}\n${two.before.join(' ')}`);
	t.is(one.after.length, 12);
	t.deepEqual(same(one.after, two.after), []);
	await nothingLeft(t, 'one', 'two', 'origin');
});

/** The random bytes of a TLS server's first message, and not those of the client that it repeats (RFC 8446, section 4.1.3); '' when it does not answer. */
async function serverRandom(t: ExecutionContext, lab: string, port = 4433): Promise<string> {
	const shown = await bench.ask(t, lab, 'node-1', `openssl s_client -connect 127.0.0.1:${port} -tls1_3 -msg </dev/null 2>/dev/null | grep -A 3 ServerHello | tail -n +2 | tr -d " \\n"`);
	return /^02.{6}0303([\da-f]{64})/.exec(shown)?.[1] ?? '';
}

/** A shell command that starts a TLS server in the background. */
const tlsServer = (port: number): string => `setsid openssl s_server -accept ${port} -key key -cert cert -quiet </dev/null >/dev/null 2>&1 &`;

test.serial('a lab that was booted is frozen while it is used, and goes on; its copies have what it had then', async (t) => {
	t.timeout(long);
	await bench.expect(t, 0, ['up', scenario, '--name', 'cold', '--cold']);
	t.deepEqual(reasonsOf(await readEvents(path.join(bench.state, 'labs/cold/events.jsonl')), 'cold'), ['starting', 'booting', 'ready']);
	await bench.ask(t, 'cold', 'node-1', [
		'cd /run && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out cert -subj /CN=test -days 9 2>/dev/null',
		`(${tlsServer(4433)})`,
		'echo in memory >/run/mark; echo on disk >/root/mark',
	].join('; '));
	// A connection between two machines, which says something all the time.
	await bench.ask(t, 'cold', 'node-2', '(setsid socat -u TCP-LISTEN:5000 CREATE:/run/ticks </dev/null >/dev/null 2>&1 &)');
	await bench.ask(t, 'cold', 'node-1', 'cd /run && echo "while :; do echo tick; sleep 0.2; done" >tick && (setsid sh -c "sh tick | socat -u - TCP:192.168.1.2:5000,retry=20" </dev/null >/dev/null 2>&1 &)');
	const ticks = async (lab: string): Promise<number> => Number(await bench.ask(t, lab, 'node-2', 'cat /run/ticks 2>/dev/null | wc -c'));
	const ticksOn = async (lab: string, than: number): Promise<number> => until(`the connection of ${lab} goes on`, async () => {
		const now = await ticks(lab).catch(() => 0);
		return now > than ? {met: true, value: now} : {met: false, seen: `${now} bytes`};
	}, {deadline: 60_000, interval: 500});
	const ticked = await ticksOn('cold', 0);
	await until('the TLS server answers', async () => {
		const random = await serverRandom(t, 'cold');
		return random.length === 64 ? {met: true, value: undefined} : {met: false, seen: random};
	}, {deadline: 60_000});
	await bench.expect(t, 0, ['freeze', 'cold', 'moment']);
	const events = await readEvents(path.join(bench.state, 'labs/cold/events.jsonl'));
	t.deepEqual(reasonsOf(events, 'cold'), ['starting', 'booting', 'ready', 'freezing', 'frozen']);
	await bench.ask(t, 'cold', 'node-1', 'echo later >/run/mark; echo later >/root/mark; sync');
	await ticksOn('cold', await ticks('cold'));
	const [randoms, later]: [string[], string[]] = [[], []];
	for (const name of ['copy-1', 'copy-2']) {
		await bench.expect(t, 0, ['fork', 'moment', '--lab', name]);
		t.is(await bench.ask(t, name, 'node-1', 'cat /run/mark /root/mark'), 'in memory\non disk');
		randoms.push(await serverRandom(t, name));
		await bench.ask(t, name, 'node-1', `cd /run && (${tlsServer(4434)})`);
		later.push(await until('the later server answers', async () => {
			const random = await serverRandom(t, name, 4434);
			return random.length === 64 ? {met: true, value: random} : {met: false, seen: random};
		}, {deadline: 60_000}));
		await ticksOn(name, Math.max(ticked, await ticks(name)));
	}

	t.is(randoms[0]!.length, 64);
	// A limit: OpenSSL has a generator of its own in each process, which asks the kernel only now and then.
	t.is(randoms[0], randoms[1]);
	t.not(later[0], later[1], 'what is started in the copy asks the kernel');
	await bench.expect(t, 0, ['down', '--all']);
	await nothingLeft(t, 'cold', 'copy-1', 'copy-2');
});

test.serial('a fork is frozen and goes on; a copy of it has its memory and its disk, and is no bigger than it must be', async (t) => {
	t.timeout(long);
	await bench.expect(t, 0, ['up', scenario, '--name', 'parent']);
	t.deepEqual(reasonsOf(await readEvents(path.join(bench.state, 'labs/parent/events.jsonl')), 'parent'), ['starting', 'forking', 'ready']);
	const write = 'head -c 20M /dev/urandom >/dev/shm/blob; head -c 20M /dev/urandom >/root/blob; sync; cat /dev/shm/blob /root/blob | sha256sum';
	const sum = await bench.ask(t, 'parent', 'node-1', write);
	// Two at once take turns, so that neither lets the machines go on that stand still for the other.
	await Promise.all(['child', 'twin'].map(async (name) => bench.expect(t, 0, ['freeze', 'parent', name])));
	const states = reasonsOf(await readEvents(path.join(bench.state, 'labs/parent/events.jsonl')), 'parent').slice(3);
	t.deepEqual(states, ['freezing', 'frozen', 'freezing', 'frozen']);
	await bench.expect(t, 2, ['freeze', 'parent', 'child']);
	// The time that is kept with it is its own, which is behind this computer's.
	const {frozenAt} = await readFrozenLab((await bench.stages('frozen child'))[0]!.folder);
	const apart = Number(await bench.ask(t, 'parent', 'node-1', 'date +%s')) - frozenAt / 1000;
	t.true(apart > -5 && apart < 120, `${apart} s`);
	t.is(await bench.ask(t, 'parent', 'node-1', 'cat /dev/shm/blob /root/blob | sha256sum; rm /root/blob /dev/shm/blob; ping -c 1 -W 20 192.168.1.2 >/dev/null'), sum);
	const [kept] = await bench.stages('frozen child');
	t.true((await stat(path.join(kept!.folder, 'node-1/state'))).size < 4 * 1024 ** 2, 'memory is not in it once more');
	t.false((await readdir(path.join(kept!.folder, 'node-1'))).includes('memory.own'));
	await bench.expect(t, 0, ['down', 'parent']);
	// It needs nothing of what the parent ran on.
	for (const name of ['child', 'twin']) {
		await bench.expect(t, 0, ['fork', name, '--lab', `grand${name}`]);
		t.is(await bench.ask(t, `grand${name}`, 'node-1', 'cat /dev/shm/blob /root/blob | sha256sum; ping -c 1 -W 20 192.168.1.2 >/dev/null'), sum);
		await bench.expect(t, 0, ['down', `grand${name}`]);
	}

	await nothingLeft(t, 'parent', 'grandchild', 'grandtwin');
});

/** Reboots a machine, and returns when it answers as another boot. */
async function reboot(node: ReturnType<ForkedLab['machine']>): Promise<void> {
	const id = (await node.$`cat /proc/sys/kernel/random/boot_id`).stdout;
	await node.$`systemctl reboot`.catch(() => {});
	await until('it is back', async () => {
		// Until then connections break.
		const now = await node.try$`cat /proc/sys/kernel/random/boot_id`.catch((error: unknown) => ({exitCode: 255, stdout: String(error)}));
		return now.exitCode === 0 && now.stdout !== id ? {met: true, value: undefined} : {met: false, seen: now.stdout};
	}, {deadline: 300_000, interval: 2000});
}

test.serial('a fork that reboots comes back, and its clock goes on from when it was frozen', async (t) => {
	t.timeout(long);
	const [ready] = await bench.stages('ready lab');
	const {frozenAt} = await readFrozenLab(ready!.folder);
	// On a fast computer it was frozen moments ago, and this computer's clock could not be told from the fork's.
	await until('a minute has passed since the lab was frozen', async () => {
		const passed = Date.now() - frozenAt;
		return passed > 60_000 ? {met: true, value: undefined} : {met: false, seen: `${passed} ms`};
	}, {deadline: 120_000, interval: 1000});
	await withForks(1, async (lab) => {
		const node = lab.machine('node-1');
		const seconds = async (): Promise<number> => Number((await node.$`date +%s`).stdout);
		const begin = performance.now();
		const offset = frozenAt / 1000 - await seconds();
		t.true(Math.abs(offset) < 30, `the clock is ${offset} s from where it was frozen`);
		await node.writeFile('/root/mark', 'on disk');
		await node.$`echo in memory >/run/mark; sync`;
		await reboot(node);
		t.is(await node.readFile('/root/mark'), 'on disk');
		await node.fail$`cat /run/mark`;
		const after = await seconds();
		const passed = (performance.now() - begin) / 1000;
		const drift = after - (frozenAt / 1000 + passed);
		t.true(Math.abs(drift) < 30, `the clock is ${drift} s from where it should be`);
		await until('it reaches the other', async () => ((await node.try$`ping -c 1 -W 5 192.168.1.2`).exitCode === 0 ? {met: true, value: undefined} : {met: false, seen: 'nothing'}), {deadline: 120_000});
		t.false(lab.over.aborted);
	});
});

test.serial('a fork that is told another time keeps it when it reboots', async (t) => {
	t.timeout(long);
	const [ready] = await bench.stages('ready lab');
	const {frozenAt} = await readFrozenLab(ready!.folder);
	const lab = await fork(scenario, {clock: '720h'});
	const begin = performance.now();
	try {
		const node = lab.machine('node-1');
		/** Seconds that the machine's clock is from where it should be. */
		const off = async (): Promise<number> => Number((await node.$`date +%s`).stdout) - (frozenAt + (performance.now() - begin)) / 1000 - 720 * 3600;
		t.true(Math.abs(await off()) < 30);
		t.true(Math.abs(Number((await lab.machine('node-2').$`date +%s`).stdout) - Number((await node.$`date +%s`).stdout)) < 10);
		await reboot(node);
		const after = await off();
		t.true(Math.abs(after) < 30, `${after} s`);
	} finally {
		await lab.down();
	}
});

/** The time of the last write to each file of a folder, in nanoseconds since 1970: QEMU has the memory open for writing, and may not write. */
async function writeTimes(folder: string): Promise<Record<string, string>> {
	const files = (await readdir(folder, {recursive: true, withFileTypes: true})).filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
	return Object.fromEntries(await Promise.all(files.map(async (file) => [path.relative(folder, file), String((await stat(file, {bigint: true})).mtimeNs)] as const)));
}

test.serial('twenty forks that write much leave what they are forks of as it was, and nothing else', async (t) => {
	t.timeout(long);
	const [ready] = await bench.stages('ready lab');
	const before = {tree: await digestTree(ready!.folder), times: await writeTimes(ready!.folder)};
	t.true(before.tree.some((entry) => entry.path === 'node-2/memory'));
	for (let count = 0; count < 20; count++) {
		await withForks(1, async (lab) => {
			await Promise.all(['node-1', 'node-2'].map(async (name) => {
				const {stdout} = await lab.machine(name).$`(yes ${String(count)} || true) | head -c 40M >/dev/shm/much; cp /dev/shm/much /root/much; sync; ls /root`;
				t.is(stdout.trim(), 'much');
			}));
		});
	}

	t.deepEqual({tree: await digestTree(ready!.folder), times: await writeTimes(ready!.folder)}, before);
	t.is((await bench.stages('ready lab'))[0]?.madeAt, ready!.madeAt, 'it was not made again meanwhile');
	await bench.expect(t, 0, ['cache', 'verify']);
	await nothingLeft(t);
	t.deepEqual(await readdir(path.join(bench.cache, 'scratch')), []);
	t.is((await readFile('/proc/net/unix', 'utf8')).split('\n').filter((line) => line.includes(bench.state)).length, 0);
});

test.serial('a lab is forked from its declaration too, by a name of one\'s own, and may be ended twice', async (t) => {
	t.timeout(long);
	const events: LabEvent[] = [];
	const lab = await fork({machines: {node: {count: 2, memory: '512MiB'}}, overlays: ['base', 'iptools']}, {
		name: 'mine',
		events(event) {
			events.push(event);
		},
	});
	t.is(lab.name, 'mine');
	t.deepEqual((await listLabs()).map(({name}) => name), ['mine']);
	t.deepEqual(reasonsOf(events, 'mine'), ['starting', 'forking', 'ready'], 'it is the lab of the scenario, and so is there already');
	t.true(lab.speed >= 1);
	t.is((await lab.machine('node-2').$`hostname`).stdout, 'node-2');
	t.throws(() => lab.machine('node-3'), {code: 'unknown-machine'});
	await lab.down();
	await lab.down();
	t.true(lab.over.aborted);
	await nothingLeft(t, 'mine');
});
