import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdir, open, readFile, stat} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {execa} from 'execa';
import {startFabric} from '../../lab/fabric/fabric.ts';
import {readRecording} from '../../lab/fabric/recording.ts';
import {until} from '../../lab/host/wait.ts';
import {attachLab} from '../../lab/runtime/attached-lab.ts';
import {bootLab} from '../../lab/runtime/lab.ts';
import {readLab} from '../../lab/runtime/labs.ts';
import {ethernetFrame, everybody, mac} from '../fabric/ethernet-frame.ts';
import {connectNic, type Nic} from '../fabric/nic.ts';
import {ip, tcp} from '../fabric/packets.ts';
import {vmlab, vmlabProgram} from '../rig/command.ts';
import {startLive} from '../rig/wireshark.ts';
import {createStandIns, standInPlan, standInStages, withStateFolder} from '../runtime/stand-ins.ts';

/** A lab whose machines are nothing, and whose networks are real. */
async function withLab(use: (scene: {nics: Nic[]; folder: string; lab: Awaited<ReturnType<typeof bootLab>>}) => Promise<void>): Promise<void> {
	await withStateFolder(async (folder) => {
		const [plan, made] = [standInPlan(['node-1', 'node-2']), await standInStages(folder)];
		const lab = await bootLab({name: 'one', plan, made, events() {}, signal: new AbortController().signal}, {...createStandIns(), startFabric});
		const nics = await Promise.all(['node-1', 'node-2'].map(async (name) => connectNic(path.join(lab.folder, name, 'eth1.sock'))));
		try {
			await use({nics, folder, lab});
		} finally {
			for (const {socket} of nics) {
				socket.destroy();
			}

			await lab.down();
		}
	});
}

const web = ip('tcp', '192.168.1.1', '192.168.1.2', tcp(40_000, 80, {flags: 'S'}), {to: everybody});

test.serial('what was recorded is written to a file, which is private', async (t) => {
	await withLab(async ({nics: [a, b], folder}) => {
		a!.send(ethernetFrame(everybody, mac(0), 'one'), web);
		await b!.gets(2);
		const file = path.join(folder, 'all.pcapng');
		const {code, stdout, stderr} = await vmlab(['capture', 'one', '--recorded', '-w', file]);
		t.is(code, 0, stderr);
		t.is(stdout, '');
		t.is(stderr, '4 frames captured\n');
		t.is((await stat(file)).mode & 0o777, 0o600);
		t.deepEqual(readRecording(await readFile(file)).frames.map(({link, direction}) => `${link} ${direction}`), ['node-1@cluster from', 'node-2@cluster to', 'node-1@cluster from', 'node-2@cluster to']);
		const full = await vmlab(['capture', 'one', '--recorded', '-w', '/dev/full']);
		t.is(full.code, 4, full.stderr);
		t.regex(full.stderr, /No space is left for the capture in \/dev\/full/);
		const some = await vmlab(['capture', '--recorded', '-i', 'node-2@cluster', '--filter', 'tcp port 80', '-c', '1', '-w', file]);
		t.is(some.stderr, '1 frame captured\n');
		const [frame, ...more] = readRecording(await readFile(file)).frames;
		t.deepEqual(more, []);
		t.like(frame, {link: 'node-2@cluster', direction: 'to', length: 54});
	});
});

test.serial('frames come live on standard output, until Ctrl-C', async (t) => {
	await withLab(async ({nics: [a, b]}) => {
		const child = spawn(process.execPath, [vmlabProgram, 'capture', 'one', '--from'], {stdio: ['ignore', 'pipe', 'pipe'], env: {...process.env, NO_COLOR: '1'}});
		const chunks: Buffer[] = [];
		let said = '';
		child.stdout.on('data', (chunk: Buffer) => {
			chunks.push(chunk);
		});
		child.stderr.on('data', (chunk: Buffer) => {
			said += chunk.toString();
		});
		const ended = once(child, 'close');
		await until('it captures', async () => (chunks.length > 0 ? {met: true, value: undefined} : {met: false, seen: said}), {deadline: 60_000, interval: 50});
		a!.send(web);
		await b!.gets(1);
		await until('the frame comes while it goes on', async () => {
			const {frames} = readRecording(Buffer.concat(chunks));
			return frames.length === 1 ? {met: true, value: undefined} : {met: false, seen: `${frames.length} frames`};
		}, {deadline: 20_000, interval: 50});
		child.kill('SIGINT');
		t.deepEqual(await ended, [0, null]);
		const {frames, links} = readRecording(Buffer.concat(chunks));
		t.deepEqual(frames.map(({link, direction, bytes}) => [link, direction, bytes.length]), [['node-1@cluster', 'from', 54]]);
		t.is(links.length, 2, 'with its statistics');
		t.regex(said, /^Capturing on one, until Ctrl-C\n[^]*1 frame captured\n$/);
	});
});

test.serial('Wireshark shows frames as they come, and why one was dropped', async (t) => {
	await withLab(async ({nics: [a, b]}) => {
		t.is((await vmlab(['link', 'set', 'one', 'node-2', '--cut'])).code, 0);
		const wireshark = await startLive(['frame.interface_name', 'tcp.dstport', 'frame.comment']);
		const capture = spawn(process.execPath, [vmlabProgram, 'capture', 'one'], {stdio: ['ignore', 'pipe', 'ignore'], env: {...process.env, NO_COLOR: '1'}});
		const ended = Promise.all([once(capture, 'close'), once(wireshark, 'close')]);
		capture.stdout.pipe(wireshark.stdin);
		let [shown, said] = ['', ''];
		wireshark.stdout.on('data', (chunk: Buffer) => {
			shown += chunk.toString();
		});
		wireshark.stderr.on('data', (chunk: Buffer) => {
			said += chunk.toString();
		});
		await until('Wireshark shows the frame on both links', async () => {
			a!.send(web);
			return shown.split('\n').length > 2 ? {met: true, value: undefined} : {met: false, seen: shown + said};
		}, {deadline: 60_000, interval: 200});
		capture.kill('SIGINT');
		await ended;
		t.deepEqual(shown.split('\n').slice(0, 2).sort(), ['node-1@cluster\t80\t', 'node-2@cluster\t80\tdropped: the link is cut'], said);
		t.is(b!.got.length, 0);
	});
});

test.serial('a capture ends after its time, with the lab, and when nobody reads it any more', async (t) => {
	await withLab(async ({lab, nics: [a]}) => {
		const timed = await vmlab(['capture', '--duration', '200ms']);
		t.is(timed.code, 0, timed.stderr);
		t.regex(timed.stderr, /0 frames captured\n$/);
		const child = spawn('sh', ['-c', '"$0" "$1" capture one | head -c 8', process.execPath, vmlabProgram], {stdio: ['ignore', 'pipe', 'pipe']});
		// As with any pipe, it is the next write that tells.
		await until('it ends with a frame that nobody reads', async () => {
			a!.send(web);
			return child.exitCode === null ? {met: false, seen: 'it goes on'} : {met: true, value: undefined};
		}, {deadline: 60_000, interval: 200});
		t.is(child.exitCode, 0);
		const capturing = vmlab(['capture', 'one'], {
			onProgress(text) {
				if (text.includes('Capturing on one')) {
					void lab.down();
				}
			},
		});
		t.is((await capturing).code, 0);
	});
});

test.serial('a capture into a FIFO ends by Ctrl-C while nobody reads it, and gives its frames to who does', async (t) => {
	await withLab(async ({nics: [a, b], folder}) => {
		const fifo = path.join(folder, 'fifo');
		await execa('mkfifo', [fifo]);
		const start = (): {child: ChildProcess; ended: Promise<unknown[]>} => {
			const child = spawn(process.execPath, [vmlabProgram, 'capture', 'one', '--from', '-w', fifo], {stdio: ['ignore', 'ignore', 'pipe'], env: {...process.env, NO_COLOR: '1'}});
			return {child, ended: once(child, 'close')};
		};

		const unread = start();
		let said = '';
		unread.child.stderr!.on('data', (chunk: Buffer) => {
			said += chunk.toString();
		});
		await until('it waits for a reader', async () => (said.includes('Waiting until somebody reads') ? {met: true, value: undefined} : {met: false, seen: said}), {deadline: 60_000, interval: 50});
		unread.child.kill('SIGINT');
		t.deepEqual(await unread.ended, [130, null]);

		const read = start();
		const reader = await open(fifo, 'r');
		const chunks: Buffer[] = [];
		const stream = reader.createReadStream().on('data', (chunk) => {
			chunks.push(chunk as Buffer);
		});
		const closed = once(stream, 'close');
		await until('it captures', async () => (chunks.length > 0 ? {met: true, value: undefined} : {met: false, seen: 'nothing'}), {deadline: 60_000, interval: 50});
		a!.send(web);
		await b!.gets(1);
		read.child.kill('SIGINT');
		t.deepEqual(await read.ended, [0, null]);
		await closed;
		t.is(readRecording(Buffer.concat(chunks)).frames.length, 1);
	});
});

test.serial('what cannot be captured is told with what can', async (t) => {
	await withLab(async ({folder}) => {
		const wrongLink = await vmlab(['capture', 'one', '-i', 'node-1@clutser']);
		t.is(wrongLink.code, 3);
		t.regex(wrongLink.stderr, /There is no link `node-1@clutser`[^]*Did you mean `node-1@cluster`/);
		t.regex((await vmlab(['capture', 'one', '--network', 'external'])).stderr, /no network `external`/);
		for (const [words, expected] of [
			[['--filter', 'tcp or udp'], /`or`, which filters of the fabric do not know/],
			[['-c', '0'], /--count is a whole number from 1, not `0`/],
			[['--recorded', '--duration', '1s'], /ends by itself/],
			[['-w', path.join(folder, 'nowhere/x')], /cannot be written: ENOENT/],
		] as const) {
			const {code, stderr} = await vmlab(['capture', 'one', ...words]);
			t.is(code, 2, stderr);
			t.regex(stderr, expected);
		}
	});
	t.is((await vmlab(['capture', 'nobody'])).code, 2);
});

test.serial('a lab that another process owns tells its recording too, and keeps it with the evidence', async (t) => {
	await withLab(async ({nics: [a, b], folder, lab}) => {
		a!.send(web);
		await b!.gets(1);
		const attached = attachLab(await readLab('one'), lab.plan, lab.made);
		t.is((await attached.recording(0)).frames.length, 2);
		t.is((await lab.recording(Date.now() + 1000)).frames.length, 0);
		const evidence = path.join(folder, 'evidence');
		await mkdir(evidence);
		await attached.collectEvidence(evidence, undefined, {since: 0});
		t.is(readRecording(await readFile(path.join(evidence, 'frames.pcapng'))).frames.length, 2);
		attached.detach();
	});
});
