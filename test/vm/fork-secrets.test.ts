/** Random numbers that are not the kernel's: what processes and protocols of two forks have in common, and what they have not. */
import {mkdir, readdir, writeFile} from 'node:fs/promises';
import path from 'node:path';
import test from 'ava';
import {fork, type ForkedLab} from '../../lab/index.ts';
import {forkBenchFor} from '../rig/fork-bench.ts';
import {remainsOf} from '../rig/remains.ts';

const bench = forkBenchFor(test);
const long = 30 * 60_000;

/** Two TLS servers, of which a fork restarts the one, and a unit that can be started only once. */
const overlay = `import {defineOverlay, type CertificateRequest} from 'vmlab';

const handshake = (port: number): string => \`timeout 20 openssl s_client -connect 127.0.0.1:\${port} </dev/null\`;

export default defineOverlay({
	summary: 'Servers with random number generators of their own',
	needs: ['iptools'],
	options: {fragile: {default: false, summary: 'Restart in forks what cannot be restarted'}},
	files: ({machine}) => {
		const certificate: CertificateRequest = {authority: 'test', commonName: machine.name, usages: ['server']};
		return [{path: '/etc/tls/cert', certificate}, {path: '/etc/tls/key', certificateKey: certificate}];
	},
	units: () => ['tls-told.service', 'tls-untold.service', 'once.service'],
	restartInForks: ({options}) => ['tls-told.service', ...(options.fragile ? ['once.service'] : [])],
	ready: () => [
		{sentence: 'the one server answers', deadline: '20s', command: handshake(4433)},
		{sentence: 'the other server answers', deadline: '20s', command: handshake(4434)},
	],
});
`;
const server = (port: number): string => `[Service]\nType=exec\nExecStart=/usr/bin/openssl s_server -accept ${port} -key /etc/tls/key -cert /etc/tls/cert -quiet\n`;
const project: Readonly<Record<string, string>> = {
	'overlays/secrets/overlay.ts': overlay,
	'overlays/secrets/rootfs/usr/lib/systemd/system/tls-told.service': server(4433),
	'overlays/secrets/rootfs/usr/lib/systemd/system/tls-untold.service': server(4434),
	'overlays/secrets/rootfs/usr/lib/systemd/system/once.service': '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/mkdir /run/once\n',
	'scripts/secrets.ts': `import {defineScenario} from 'vmlab';

export default defineScenario({
	summary: 'One machine with TLS servers',
	budget: '1m',
	lab: {machines: {node: {count: 1, memory: '512MiB'}}, overlays: ['secrets']},
	async steps({step, node}) {
		await step('the server is there', async () => {
			await node('node-1').$\`systemctl is-active tls-told.service\`;
		});
	},
});
`,
};

test.serial.before('the overlay is there', async () => {
	for (const [name, text] of Object.entries(project)) {
		const file = path.join(bench.folder, 'project', name);
		await mkdir(path.dirname(file), {recursive: true});
		await writeFile(file, text);
	}
});

test.serial.afterEach.always('what a failed test left is ended', async () => {
	await bench.run(['down', '--all']);
});

/** Gives what is found in two forks, which run one after the other. */
async function inTwoForks<Found>(look: (lab: ForkedLab) => Promise<Found>): Promise<[Found, Found]> {
	const one = async (): Promise<Found> => {
		const lab = await fork('secrets');
		try {
			return await look(lab);
		} finally {
			await lab.down();
		}
	};

	return [await one(), await one()];
}

/** What a TLS server gave of its own to a session (RFC 8446, section 4.1.3): its random bytes, and the key share (X25519) that the session's keys come from. */
interface Hello {
	readonly random: string | undefined;
	readonly share: string | undefined;
}

async function helloOf(lab: ForkedLab, port: number): Promise<Hello> {
	const {stdout} = await lab.machine('node-1').$`openssl s_client -connect 127.0.0.1:${port} -tls1_3 -groups X25519 -msg </dev/null 2>/dev/null | sed -n '/ServerHello/,/^[<>]/{/^ /p}' | tr -d ' \n'`;
	return {random: /^02.{6}0303([\da-f]{64})/.exec(stdout)?.[1], share: /00330024001d0020([\da-f]{64})/.exec(stdout)?.[1]};
}

test.serial('a TLS server that an overlay names makes other session keys in each fork; control: one that is not named makes the same', async (t) => {
	t.timeout(long);
	const found = await inTwoForks(async (lab) => ({
		told: await helloOf(lab, 4433),
		untold: await helloOf(lab, 4434),
		failed: (await lab.machine('node-1').$`systemctl --failed --plain --no-legend`).stdout,
	}));
	for (const {told, untold, failed} of found) {
		for (const each of [told.random, told.share, untold.random, untold.share]) {
			t.is(each?.length, 64);
		}

		t.is(failed, '');
	}

	const [one, two] = found;
	t.not(one.told.random, two.told.random);
	t.not(one.told.share, two.told.share);
	t.is(one.untold.random, two.untold.random);
	t.is(one.untold.share, two.untold.share);
});

test.serial('a unit that cannot be restarted makes the fork fail, with the machine and the unit, and nothing is left', async (t) => {
	t.timeout(long);
	const words = ['up', 'secrets', '--name', 'fragile', '--set', 'secrets.fragile=true'];
	const outcome = await bench.run(words);
	t.is(outcome.code, 6, outcome.stderr);
	t.regex(outcome.stderr, /The machine node-1 was forked, and once\.service could not be restarted there/);
	t.regex(outcome.stderr, /Job for once\.service failed/);
	t.notRegex(outcome.stderr, /booted once/, 'it is a fork of the same frozen lab');
	t.deepEqual(await remainsOf({name: 'fragile', state: bench.state}), []);
	t.deepEqual(await readdir(path.join(bench.state, 'labs')), []);
	await bench.expect(t, 0, ['up', 'secrets', '--name', 'fragile']);
});

/** The initial sequence number of a connection from a port of one's own, and the guest's time then, in nanoseconds since 1970. */
async function sequenceOf(lab: ForkedLab, port: number): Promise<{sequence: bigint; time: bigint}> {
	const {stdout} = await lab.machine('node-1').$`
		timeout 100 tcpdump -i lo -n -S -tt --time-stamp-precision=nano -c 1 "tcp[tcpflags] == tcp-syn and src port ${port}" 2>/run/tcpdump &
		until grep -q 'listening on' /run/tcpdump; do sleep 0.1; done
		socat -u /dev/null TCP:127.0.0.1:9,bind=127.0.0.1:${port} 2>/dev/null || true
		wait`;
	const [, seconds = '0', rest = '0', sequence = '0'] = /^(\d+)\.(\d{9}) .* seq (\d+)/m.exec(stdout) ?? [];
	return {sequence: BigInt(sequence), time: BigInt(seconds + rest)};
}

test.serial('TCP sequence numbers of the same connection differ in two forks; a limit: by the time that has passed alone', async (t) => {
	t.timeout(long);
	const ports = [40_000, 40_001];
	const [one, two] = await inTwoForks(async (lab) => [await sequenceOf(lab, ports[0]!), await sequenceOf(lab, ports[1]!)]);
	for (const [index, port] of ports.entries()) {
		const [a, b] = [one[index]!, two[index]!];
		t.true(a.sequence > 0n && b.sequence > 0n && a.time > 0n && b.time > 0n, String(port));
		t.not(a.sequence, b.sequence);
		// The kernel adds its clock, in units of 64 ns, to a keyed hash of the addresses and ports. What it is without the clock is the same within the
		// time that passes between the number's making and its way out, of which 2^32 units are 275 s.
		const hash = ({sequence, time}: {sequence: bigint; time: bigint}): bigint => BigInt.asUintN(32, sequence - time / 64n);
		const apart = BigInt.asIntN(32, hash(a) - hash(b));
		t.true(apart < 50_000_000n && apart > -50_000_000n, `${port}: ${hash(a)} and ${hash(b)} are apart by ${apart}`);
	}
});
