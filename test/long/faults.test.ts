/** Faults of machines: what the machine and its neighbour see of each, that nothing of it is left when its step is over, and what a lab does meanwhile. Each has its control: the same look without the fault. */
import {readdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type {MachineReport} from '../../lab/runtime/machine-change.ts';
import {readEvents} from '../rig/events-file.ts';
import {forkBenchFor, scenario} from '../rig/fork-bench.ts';

const bench = forkBenchFor(test);
const long = 30 * 60_000;

const script = (steps: string): string => `import {claim, defineScenario} from 'vmlab';

export default defineScenario({
	summary: 'Two nodes on one network, and what befalls them',
	budget: '5m',
	lab: {machines: {node: {count: 2, memory: '512MiB'}}, overlays: ['base', 'iptools']},
	async steps({step, refuted, eventually, node, fabric, note}) {
		const [one, two] = [node('node-1'), node('node-2')];
		/** How many of so many pings node-2 answers. */
		const pings = async (count = 3) => Number(/(\\d+) received/.exec((await one.try$\`ping -c \${count} -i 0.5 -W 3 192.168.1.2\`).stdout)?.[1]);
		const answers = async () => {
			const count = await pings();
			claim(count > 0, 'node-2 answers no ping');
		};
		const isSilent = async () => {
			const count = await pings();
			claim(count === 0, \`node-2 answers \${count} of 3 pings\`);
		};
		const bootOf = async (machine) => (await machine.$\`cat /proc/sys/kernel/random/boot_id\`).stdout;
		/** Milliseconds since 1970. */
		const clockOf = async (machine) => Number((await machine.$\`date +%s%3N\`).stdout);
		/** Milliseconds by which the clock of node-2 is ahead of that of node-1; what it takes to ask is taken off. */
		const ahead = async () => {
			const before = await clockOf(one);
			const other = await clockOf(two);
			const after = await clockOf(one);
			return other - (before + after) / 2;
		};
${steps}
	},
});
`;

async function play(t: Parameters<typeof bench.expect>[0], name: string, steps: string, code = 0, words: readonly string[] = []): Promise<void> {
	await writeFile(path.join(bench.folder, 'project', 'scripts', `${name}.ts`), script(steps));
	await bench.expect(t, code, ['run', name, ...words]);
}

test.serial('a paused machine stands still with its clock, and goes on when its step is over', async (t) => {
	t.timeout(long);
	await play(t, 'paused', `
		const uptime = async () => Number((await two.$\`cat /proc/uptime\`).stdout.split(' ')[0]);
		await step('control: node-2 answers, and its clock goes as fast as ours', async () => {
			await answers();
			const [began, before] = [Date.now(), await uptime()];
			await one.$\`sleep 5\`;
			const [passed, lived] = [(Date.now() - began) / 1000, await uptime() - before];
			claim(Math.abs(passed - lived) < 3, \`\${passed} s passed, and \${lived} s in node-2\`);
		});
		await step('paused it answers nothing, and no time passes in it', async () => {
			const [began, before] = [Date.now(), await uptime()];
			await two.pause();
			await isSilent();
			await refuted('a command on a paused machine is waited for', async () => {
				await eventually('a command ends', async () => two.$\`true\`, {deadline: '1s'});
			});
			await two.resume();
			await answers();
			const [passed, lived] = [(Date.now() - began) / 1000, await uptime() - before];
			note(\`\${passed.toFixed(1)} s passed, and \${lived.toFixed(1)} s in node-2\`);
			claim(passed - lived > 3, \`\${passed} s passed, and \${lived} s in node-2\`);
		});
		await step('paused and left so', async () => {
			await two.pause();
			await isSilent();
		});
		await step('it goes on', answers);
	`);
});

test.serial('a machine whose power is cut loses what it has not written, and is back with its disk', async (t) => {
	t.timeout(long);
	await play(t, 'killed', `
		let boot;
		await step('control: what is written is there', async () => {
			await answers();
			boot = await bootOf(two);
			await two.$\`echo here >/root/written && sync && echo late >/root/unwritten && echo memory >/run/memory\`;
			claim((await two.$\`cat /root/written /root/unwritten /run/memory\`).stdout === 'here\\nlate\\nmemory', 'it is not');
			await two.$\`echo later >/root/unwritten\`;
		});
		await step('without power it answers nothing; then it boots, with what it had written', async () => {
			await two.$\`echo unwritten >/root/lost\`;
			await two.kill();
			await isSilent();
			await refuted('it has a command run', async () => {
				await eventually('a command ends', async () => two.$\`true\`, {deadline: '1s'});
			});
			await two.start();
			claim(await bootOf(two) !== boot, 'it is the same boot');
			claim((await two.$\`cat /root/written\`).stdout === 'here', 'what was written is gone');
			claim((await two.try$\`cat /root/lost\`).stdout !== 'unwritten', 'what was not written is there');
			await two.fail$\`cat /run/memory\`;
			await answers();
		});
		await step('it has the time that its lab has', async () => {
			const difference = await ahead();
			claim(Math.abs(difference) < 5000, \`its clock is \${difference} ms ahead\`);
			boot = await bootOf(two);
		});
		await step('its power is cut and not given back', async () => {
			await two.kill();
			await isSilent();
		});
		await step('it is back', async () => {
			claim(await bootOf(two) !== boot, 'it is the same boot');
			await answers();
		});
		await step('a cable that is out stays out when the machine is powered on', async () => {
			await fabric.carrier('node-2@cluster', 'down');
			await two.kill();
			await two.start();
			claim((await two.$\`cat /sys/class/net/eth1/carrier\`).stdout === '0', 'it has a carrier');
			await isSilent();
		});
		await step('and is in again', answers);
	`);
});

test.serial('a machine that is reset boots anew', async (t) => {
	t.timeout(long);
	await play(t, 'reset', `
		let boot;
		await step('reset it boots', async () => {
			boot = await bootOf(two);
			claim(await bootOf(two) === boot, 'control: it boots by itself');
			await two.reset();
			await two.ready();
			claim(await bootOf(two) !== boot, 'it is the same boot');
			await answers();
			boot = await bootOf(two);
		});
		await step('reset and left so', async () => {
			await two.reset();
		});
		await step('it was waited for', async () => {
			claim(await bootOf(two) !== boot, 'it is the same boot');
			await answers();
		});
	`);
});

test.serial('a disk that hangs lets nothing be read or written, and all that waited is done when it hangs no more', async (t) => {
	t.timeout(long);
	await play(t, 'hung', `
		/** Begins a read that no cache answers and a write; who is done says so in memory. A process that waits for a disk cannot be ended, so nobody waits for it. */
		const begin = async (mark, machine = two) => {
			await machine.$\`systemd-run --quiet --unit=read-\${mark} sh -c \${'dd if=/dev/vda of=/dev/null bs=4k count=1 skip=1 iflag=direct && touch /run/read-' + mark}\`;
			await machine.$\`systemd-run --quiet --unit=write-\${mark} sh -c \${'dd if=/dev/zero of=/root/written-' + mark + ' bs=4k count=1 conv=fsync && touch /run/wrote-' + mark}\`;
		};
		const done = async (mark, machine = two) => (await machine.try$\`ls /run/read-\${mark} /run/wrote-\${mark}\`).stdout.split('\\n').filter((line) => line !== '').join(' ');
		const both = (mark) => \`/run/read-\${mark} /run/wrote-\${mark}\`;
		const seconds = async (count) => {
			await one.$\`sleep \${count}\`;
		};
		await step('control: both are done soon', async () => {
			await begin('before');
			await eventually('both are done', async () => claim(await done('before') === both('before'), await done('before')));
		});
		await step('neither is done while it hangs, and the machine goes on', async () => {
			await two.hangDisk();
			await begin('meanwhile');
			await seconds(15);
			claim(await done('meanwhile') === '', \`done: \${await done('meanwhile')}\`);
			await answers();
			await begin('control', one);
			await eventually('control: the disk of node-1 does not hang', async () => claim(await done('control', one) === both('control'), await done('control', one)));
			claim(await done('meanwhile') === '', \`done: \${await done('meanwhile')}\`);
		});
		await step('both are done afterwards', async () => {
			await eventually('both are done', async () => claim(await done('meanwhile') === both('meanwhile'), await done('meanwhile')));
		});
		await step('a machine whose disk hangs can be reset and killed', async () => {
			await two.hangDisk();
			await two.kill();
			await two.start();
			await begin('again');
			await eventually('both are done', async () => claim(await done('again') === both('again'), await done('again')));
		});
	`);
});

test.serial('a full disk has as much left as was said, and all when its step is over', async (t) => {
	t.timeout(long);
	await play(t, 'full', `
		const free = async () => Number((await two.$\`echo $(( $(stat -f -c '%a * %S' /) ))\`).stdout);
		const write = async (size) => two.try$\`head -c \${size} /dev/zero >/root/probe && sync; code=$?; rm -f /root/probe; exit $code\`;
		const mebibyte = 1024 * 1024;
		let before;
		await step('control: there is room', async () => {
			before = await free();
			claim((await write('20M')).exitCode === 0, 'nothing can be written');
			claim(before > 30 * mebibyte, \`\${before} bytes are free\`);
		});
		await step('10 MiB are left: 20 do not fit, and 5 do', async () => {
			await two.fillDisk({leave: '10MiB'});
			const left = await free();
			note(\`\${left} bytes are left\`);
			claim(left <= 10 * mebibyte && left > 8 * mebibyte, \`\${left} bytes are left\`);
			const {exitCode, stderr} = await write('20M');
			claim(exitCode !== 0 && /No space left/.test(stderr), stderr);
			claim((await write('5M')).exitCode === 0, '5 MiB do not fit');
		});
		await step('nothing is left', async () => {
			await two.fillDisk();
			const {exitCode, stderr} = await write('256K');
			claim(exitCode !== 0 && /No space left/.test(stderr), stderr);
			await answers();
		});
		await step('there is room again', async () => {
			claim((await write('20M')).exitCode === 0, 'nothing can be written');
			claim(before - await free() < mebibyte, \`\${before} bytes were free, and now \${await free()}\`);
			await two.fail$\`ls /.vmlab-fill\`;
		});
	`);
});

test.serial('a clock is moved by as much as was said, and has the time that it would have when its step is over', async (t) => {
	t.timeout(long);
	await play(t, 'skewed', `
		let before;
		const isBy = async (wanted) => {
			const by = await ahead() - before;
			note(\`\${by} ms\`);
			claim(Math.abs(by - wanted) < 3000, \`it is moved by \${by} ms\`);
		};
		await step('control: it is not', async () => {
			before = await ahead();
			await isBy(0);
		});
		await step('it is 90 seconds ahead, then an hour behind', async () => {
			await two.skewClock('+90s');
			await isBy(90_000);
			await one.$\`sleep 5\`;
			await isBy(90_000);
			await two.skewClock('-1h');
			await isBy(-3_600_000);
			await step('and within that 200 ms ahead', async () => {
				await two.skewClock('+200ms');
				await isBy(200);
			});
			await isBy(-3_600_000);
		});
		await step('it has its time again', async () => isBy(0));
	`);
});

test.serial('memory that is taken is not there, and is when its step is over', async (t) => {
	t.timeout(long);
	await play(t, 'starved', `
		const available = async () => Number(/MemAvailable: +(\\d+)/.exec(await two.readFile('/proc/meminfo'))?.[1]) / 1024;
		const total = Number(/MemTotal: +(\\d+)/.exec(await two.readFile('/proc/meminfo'))?.[1]) / 1024;
		/** A process that has so many MiB. */
		const use = async (size) => two.try$\`echo 1000 >/proc/self/oom_score_adj; exec perl -e \${'my @x; push @x, chr(65 + $_ % 26) x 1048576 for 1 .. ' + size}\`;
		let before;
		await step('control: a process gets 150 MiB', async () => {
			before = await available();
			note(\`\${before} of \${total} MiB are available\`);
			claim((await use(150)).exitCode === 0, 'it does not');
		});
		await step('half of it is taken, and the process does not get as much', async () => {
			await two.takeMemory('50%');
			const by = before - await available();
			note(\`\${by} MiB less are available\`);
			claim(Math.abs(by - total / 2) < 40, \`\${by} MiB less are available\`);
			await two.takeMemory(\`\${Math.round(before - 100)}MiB\`);
			claim((await use(150)).exitCode !== 0, 'it gets them');
			await answers();
		});
		await step('it is there again', async () => {
			claim(before - await available() < 40, \`\${before - await available()} MiB less are available\`);
			claim((await use(150)).exitCode === 0, 'the process does not get it');
		});
		await step('more than there is is refused, and nothing is taken', async () => {
			const error = await two.takeMemory('100%').then(() => undefined, (thrown) => thrown);
			claim(/are available/.test(error?.message), String(error));
			claim(before - await available() < 40, \`\${before - await available()} MiB less are available\`);
		});
	`);
});

test.serial('a step that fails puts its machines back, and then evidence is asked for', async (t) => {
	t.timeout(long);
	const report = path.join(bench.folder, 'report');
	await play(t, 'fails', `
		await step('fails', async () => {
			await two.pause();
			await isSilent();
			await answers();
		});
	`, 1, ['--keep', '--report', report]);
	const events = await readEvents(path.join(report, 'events.jsonl'));
	t.deepEqual(events.flatMap((event) => (event.type === 'machine' && 'fault' in event ? [`${event.reason} ${event.machine} ${event.fault}`] : [])), ['fault node-2 paused', 'recovered node-2 paused']);
	const place = events.flatMap((event) => (event.type === 'evidence' ? [event.path] : [])).at(-1)!;
	t.true((await readdir(path.join(place, 'node-2'))).includes('journal.txt'));
	const machines = JSON.parse(await bench.expect(t, 0, ['machine', 'list', 'fails', '-o', 'json'])) as MachineReport[];
	t.deepEqual(machines.map(({state, faults}) => [state, faults]), [['ready', {}], ['ready', {}]]);
	await bench.expect(t, 0, ['down', 'fails']);
});

test.serial('from the command line: machines are paused, killed and started; a lab with faults is not frozen, one without is, and goes down whatever is wrong', async (t) => {
	t.timeout(long);
	const ping = 'ping -c 2 -i 0.2 -W 3 192.168.1.2 >/dev/null && echo answered || echo silent';
	await bench.expect(t, 0, ['up', scenario]);
	t.is(await bench.ask(t, scenario, 'node-1', ping), 'answered');
	await bench.expect(t, 0, ['machine', 'pause', scenario, 'node-2']);
	t.is(await bench.ask(t, scenario, 'node-1', ping), 'silent');
	t.regex(await bench.expect(t, 0, ['status', scenario]), /node-2 +node +paused/);
	t.regex(await bench.expect(t, 0, ['list']), /node-1 node-2 \(paused\)/);
	await bench.expect(t, 2, ['exec', scenario, 'node-2', '--', 'true']);
	await bench.expect(t, 2, ['freeze', scenario, 'refused']);
	await bench.expect(t, 0, ['machine', 'resume', scenario, 'node-2']);
	t.is(await bench.ask(t, scenario, 'node-1', ping), 'answered');
	await bench.expect(t, 0, ['machine', 'kill', scenario, 'node-2']);
	t.is(await bench.ask(t, scenario, 'node-1', ping), 'silent');
	await bench.expect(t, 0, ['machine', 'start', scenario, 'node-2']);
	t.is(await bench.ask(t, scenario, 'node-1', ping), 'answered');
	// A fork whose machine was powered on again is a lab like others.
	await bench.ask(t, scenario, 'node-2', 'echo here >/run/mark');
	await bench.expect(t, 0, ['freeze', scenario, 'again']);
	await bench.expect(t, 0, ['fork', 'again', '--lab', 'copy']);
	t.is(await bench.ask(t, 'copy', 'node-2', 'cat /run/mark'), 'here');
	t.is(await bench.ask(t, 'copy', 'node-1', ping), 'answered');
	await bench.expect(t, 0, ['machine', 'skew-clock', 'copy', 'node-1', '--by=-1h']);
	await bench.expect(t, 0, ['machine', 'hang-disk', 'copy', 'node-1']);
	await bench.expect(t, 0, ['machine', 'kill', 'copy', 'node-2']);
	await bench.expect(t, 0, ['machine', 'pause', scenario, 'node-1']);
	const began = performance.now();
	await bench.expect(t, 0, ['down', '--all']);
	t.true(performance.now() - began < 30_000, 'it took as long as if something were waited for');
});

test.serial('a lab that was booted, and not forked, has its machine powered on again too', async (t) => {
	t.timeout(long);
	await play(t, 'booted', `
		await step('its power is cut and given back', async () => {
			const boot = await bootOf(two);
			await answers();
			await two.kill();
			await isSilent();
			await two.start();
			claim(await bootOf(two) !== boot, 'it is the same boot');
			await answers();
		});
	`, 0, ['--cold']);
});
