/** Links that are impaired, cut and without carrier, as guests see it; what is recorded of them; and how that is frozen and forked. */
import {readdir, readFile, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import type {LinkReport} from '../../lab/fabric/link.ts';
import {readEvents} from '../rig/events-file.ts';
import {forkBenchFor, labDeclaration, scenario} from '../rig/fork-bench.ts';

const bench = forkBenchFor(test);
const long = 20 * 60_000;

const script = (steps: string, lab = labDeclaration): string => `import {claim, defineScenario, describeFlow} from 'vmlab';

export default defineScenario({
	summary: 'Two nodes on one network, and what is wrong with their links',
	budget: '2m',
	lab: ${lab},
	async steps({step, refuted, eventually, node, fabric, note}) {
		const [one, two] = [node('node-1'), node('node-2')];
		/** How many pings are answered, and how fast (milliseconds). An answer whose time was corrupted would make ping wait for as long again. */
		const ping = async (count, ...words) => {
			const {stdout} = await one.try$\`timeout --signal=INT 30 ping -c \${count} -i 0.2 -W 5 \${words} 192.168.1.2\`;
			const [, least, , most] = /= ([\\d.]+)\\/([\\d.]+)\\/([\\d.]+)/.exec(stdout) ?? [];
			return {
				answered: Number(/(\\d+) received/.exec(stdout)?.[1]), twice: Number(/\\+(\\d+) duplicates/.exec(stdout)?.[1] ?? 0), least: Number(least), most: Number(most),
				order: [...stdout.matchAll(/icmp_seq=(\\d+)/g)].map(([, number]) => Number(number)),
				// Those that came as they were sent: ping shows a byte that is another one, and finds the time that it sent in each.
				intact: [...stdout.matchAll(/icmp_seq=\\d+ ttl=64 time=([\\d.]+) ms\\n(?!wrong data)/g)].filter(([, time]) => Number(time) > 0.05 && Number(time) < 5000).length,
			};
		};
${steps}
	},
});
`;

const impairments = script(`
		await step('control: pings are answered, in less than the delay', async () => {
			const {answered, least} = await ping(5);
			claim(answered === 5 && least < 400, \`\${answered} answers, the quickest after \${least} ms\`);
		});
		await step('a delay is in each answer', async () => {
			await fabric.impair('node-1@cluster', {direction: 'to', delay: '400ms'});
			const {answered, least} = await ping(5);
			claim(answered === 5 && least >= 400, \`\${answered} answers, the quickest after \${least} ms\`);
		});
		await step('the delay is gone with its step', async () => {
			const {least} = await ping(5);
			claim(least < 400, \`the quickest answer took \${least} ms\`);
			claim((await fabric.link('node-1@cluster')).to.impairments.length === 0, 'something is set still');
		});
		await step('of pings half are lost, as many as the link says', async () => {
			await fabric.impair('node-1@cluster', {direction: 'to', loss: '50%', match: {protocol: 'icmp'}});
			const {answered} = await ping(40);
			const {to: {dropped}} = await fabric.link('node-1@cluster');
			note(\`\${answered} of 40 were answered\`);
			claim(answered > 5 && answered < 35 && dropped.loss === 40 - answered, \`\${answered} of 40 were answered, and the link lost \${dropped.loss}\`);
		});
		await step('a delay that varies does so from answer to answer', async () => {
			await fabric.impair('node-1@cluster', {direction: 'to', delay: '400ms', jitter: '300ms'});
			const {answered, least, most} = await ping(10);
			claim(answered === 10 && least < 350 && most > 400, \`\${answered} answers, after \${least} to \${most} ms\`);
		});
		await step('what goes ahead of what is delayed comes before it', async () => {
			await fabric.impair('node-1@cluster', {direction: 'to', delay: '700ms', reorder: '40%', match: {protocol: 'icmp'}});
			const {answered, order} = await ping(12);
			claim(answered === 12 && order.some((number, index) => number < order[index - 1]), \`\${answered} answers, in the order \${order.join(' ')}\`);
		});
		await step('control: answers come as they were sent', async () => {
			const {intact} = await ping(5);
			claim(intact === 5, \`\${intact} of 5 did\`);
		});
		await step('what is duplicated comes twice', async () => {
			await fabric.impair('node-1@cluster', {direction: 'to', duplicate: '100%', match: {protocol: 'icmp'}});
			const {answered, twice} = await ping(5);
			claim(answered === 5 && twice >= 4, \`\${answered} answers, \${twice} of them twice\`);
		});
		await step('what is corrupted does not come as it was sent', async () => {
			await fabric.impair('node-1@cluster', {direction: 'to', corrupt: '100%', match: {protocol: 'icmp'}});
			const {intact} = await ping(10);
			const {to} = await fabric.link('node-1@cluster');
			claim(intact < 3 && to.corrupted === 10, \`\${intact} of 10 answers came as they were sent, and the link corrupted \${to.corrupted}\`);
		});
		await step('TCP sends again what is corrupted, until all has come as it was sent', async () => {
			const [sent] = (await two.$\`head -c 300000 /dev/urandom > /run/sent; sha256sum < /run/sent\`).stdout.split(' ');
			await two.$\`systemd-run --quiet --unit=sender socat -u OPEN:/run/sent,rdonly TCP-LISTEN:8001,reuseaddr\`;
			await eventually('the sender listens', async () => {
				claim((await two.$\`ss -Hltn sport = 8001\`).stdout !== '', 'nothing listens');
			});
			await fabric.impair('node-1@cluster', {direction: 'to', corrupt: '10%', match: {protocol: 'tcp', port: 8001}});
			const [came] = (await one.$\`nc -d -w 20 192.168.1.2 8001 | sha256sum\`).stdout.split(' ');
			const {to: {corrupted}} = await fabric.link('node-1@cluster');
			note(\`\${corrupted} frames were corrupted\`);
			claim(corrupted > 0 && came === sent, \`the link corrupted \${corrupted} frames; \${sent} was sent, and \${came} came\`);
		});
		await step('small packets pass a hole for large ones, and large ones vanish without a word', async () => {
			await fabric.impair('node-1@cluster', {direction: 'to', mtu: 600});
			const [small, large] = [await ping(3), await ping(3, '-s', '1000')];
			claim(small.answered === 3 && large.answered === 0, \`\${small.answered} small and \${large.answered} large ones of 3 were answered\`);
		});
		await step('pings are lost in bursts', async () => {
			await fabric.impair('node-1@cluster', {direction: 'to', burst: {enter: '20%', leave: '20%'}, match: {protocol: 'icmp'}});
			const {answered, order} = await ping(40);
			const gaps = order.map((number, index) => number - (order[index - 1] ?? 0) - 1);
			note(\`\${answered} of 40 were answered, in \${gaps.filter((gap) => gap > 0).length} gaps: \${gaps.join(' ')}\`);
			const bursts = gaps.filter((gap) => gap > 0);
			claim(answered > 2 && bursts.length > 0 && bursts.reduce((sum, gap) => sum + gap, 0) / bursts.length >= 3, \`\${answered} of 40 were answered, with gaps of \${gaps.join(' ')}\`);
		});
		await step('pings are cut, and TCP is not', async () => {
			await fabric.cut('node-1@cluster', {match: {protocol: 'icmp'}});
			const {answered} = await ping(3);
			claim(answered === 0, \`\${answered} of 3 were answered\`);
			await two.$\`systemd-run --quiet --unit=answer socat TCP-LISTEN:8000,fork,reuseaddr 'SYSTEM:echo here'\`;
			await one.$\`for try in 1 2 3 4 5 6 7 8 9 10; do nc -N -w 5 192.168.1.2 8000 < /dev/null && exit; sleep 1; done; exit 1\`;
		});
		await step('that connection was one flow over both links, and was answered', async () => {
			const began = Date.now();
			await one.$\`nc -N -w 5 192.168.1.2 8000 < /dev/null\`;
			const flow = await fabric.flow({protocol: 'tcp', port: 8000}, {since: began});
			const there = flow.crossings.filter(({way}) => way === 'there').map(({link}) => link);
			claim(there.join() === 'node-1@cluster,node-2@cluster' && flow.isAnswered, describeFlow(flow).join('; '));
		});
		const carrier = async () => (await two.$\`cat /sys/class/net/eth1/carrier\`).stdout;
		await step('the guest sees that its cable is out', async () => {
			claim(await carrier() === '1', 'there is no carrier before');
			await fabric.carrier('node-2@cluster', 'down');
			claim(await carrier() === '0', 'the guest has a carrier still');
			claim((await ping(2)).answered === 0, 'pings are answered');
		});
		await step('the guest sees a cable that comes and goes', async () => {
			const changes = async () => Number((await two.$\`cat /sys/class/net/eth1/carrier_changes\`).stdout);
			const before = await changes();
			await fabric.carrier('node-2@cluster', {up: '1s', down: '1s'});
			await eventually('it has come and gone twice', async () => {
				const seen = await changes() - before;
				claim(seen >= 4, \`the carrier has changed \${seen} times\`);
			}, {deadline: '20s'});
		});
		await step('and in again', async () => {
			claim(await carrier() === '1', 'the guest has no carrier');
			claim((await ping(3)).answered > 0, 'no ping is answered');
		});
`);

test.serial('guests see what is wrong with their links, and nothing of it when the step is over', async (t) => {
	t.timeout(long);
	await writeFile(path.join(bench.folder, 'project', 'scripts', 'impaired.ts'), impairments);
	await bench.expect(t, 0, ['run', 'impaired']);
});

test.serial('what a declaration says of a link is so from the first step on, in a fork of the lab that is shared with others', async (t) => {
	t.timeout(long);
	await writeFile(path.join(bench.folder, 'project', 'scripts', 'declared.ts'), script(`
		await step('the delay that was declared is in each answer', async () => {
			const {answered, least} = await ping(5);
			claim(answered === 5 && least >= 400, \`\${answered} answers, the quickest after \${least} ms\`);
		});
		await fabric.clear('node-1@cluster');
		await step('and gone when it is taken away', async () => {
			const {least} = await ping(5);
			claim(least < 400, \`the quickest answer took \${least} ms\`);
		});
`, `{...${labDeclaration}, links: {'node-1@cluster': [{direction: 'to', delay: '400ms'}]}}`));
	await bench.expect(t, 0, ['run', 'declared']);
});

test.serial('the frames of a failed step are with its evidence', async (t) => {
	t.timeout(long);
	await writeFile(path.join(bench.folder, 'project', 'scripts', 'fails.ts'), script(`
		await step('before', async () => {
			await one.$\`ping -c 1 -W 5 -p aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 192.168.1.2\`;
		});
		await node('node-1').$\`nft add table ip evidence\`;
		await step('fails', async () => {
			await one.$\`ping -c 1 -W 5 -p bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb 192.168.1.2; exit 1\`;
		});
`));
	const report = path.join(bench.folder, 'report');
	await bench.expect(t, 1, ['run', 'fails', '--report', report]);
	const events = await readEvents(path.join(report, 'events.jsonl'));
	const place = events.flatMap((event) => (event.type === 'evidence' ? [event.path] : [])).at(-1);
	t.truthy(place);
	const files = await readdir(place!);
	t.true(files.includes('frames.pcapng'), files.join());
	const frames = await readFile(path.join(place!, 'frames.pcapng'));
	t.true(frames.includes(Buffer.alloc(32, 0xbb)), 'the ping of the failed step is not there');
	t.false(frames.includes(Buffer.alloc(32, 0xaa)), 'the ping of the step before is there');
	for (const machine of ['node-1', 'node-2']) {
		for (const [file, content] of Object.entries({
			'console.log': /./, 'journal.txt': /systemd/, 'dmesg.txt': /Linux version/, routes: /192\.168\.1\.0\/24/, neighbours: /192\.168\.1\.\d/, nftables: machine === 'node-1' ? /^table ip evidence/m : /^(?![^]*evidence)/, iptables: /^/, ipvs: /^/, conntrack: /^/,
		})) {
			const text = await readFile(path.join(place!, machine, file), 'utf8');
			t.regex(text, content, `${machine}/${file}`);
			t.notRegex(text, /could not be had|\(exit code/, `${machine}/${file}`);
		}
	}
});

test.serial('what is set on a link is frozen and forked with the lab', async (t) => {
	t.timeout(long);
	const linkOf = async (lab: string): Promise<LinkReport | undefined> => (JSON.parse(await bench.expect(t, 0, ['link', 'list', lab, 'node-1', '-o', 'json'])) as LinkReport[])[0];
	const ping = 'ping -c 2 -i 0.2 -W 3 192.168.1.2 >/dev/null && echo answered || echo silent';
	await bench.expect(t, 0, ['up', scenario]);
	t.is(await bench.ask(t, scenario, 'node-1', ping), 'answered');
	await bench.expect(t, 0, ['link', 'set', scenario, 'node-1', '--cut', '--protocol', 'icmp']);
	t.is(await bench.ask(t, scenario, 'node-1', ping), 'silent');
	await bench.expect(t, 0, ['link', 'set', scenario, 'node-2', '--carrier', 'down']);
	await bench.expect(t, 0, ['freeze', scenario, 'broken']);
	await bench.expect(t, 0, ['fork', 'broken', '--lab', 'copy']);
	t.true((await linkOf('copy'))?.to.impairments[0]?.cut);
	t.is(await bench.ask(t, 'copy', 'node-2', 'cat /sys/class/net/eth1/carrier'), '0');
	await bench.expect(t, 0, ['link', 'clear', 'copy']);
	t.is(await bench.ask(t, 'copy', 'node-2', 'cat /sys/class/net/eth1/carrier'), '1');
	t.is(await bench.ask(t, 'copy', 'node-1', ping), 'answered');
	// The first lab's are its own.
	t.is(await bench.ask(t, scenario, 'node-1', ping), 'silent');
	await bench.expect(t, 0, ['down', '--all']);
});
