import test from 'ava';
import {openMachines} from '../../lab/scenario/machine-handle.ts';
import type {StepContext} from '../../lab/scenario/scenario.ts';
import {type Caller, nodeCaller, noneHasProblem, podCaller} from '../../scripts/steps/caller.ts';
import {addressesOf, answeredBy, notAnswered} from '../../scripts/steps/lookup.ts';
import {largeRequestFails, pathMtu, withoutPacketTooBig, withWideInvitation} from '../../scripts/steps/path-mtu.ts';
import {nat64Of, withoutTranslator, withPrefix} from '../../scripts/steps/translator.ts';
import {createFakeLab, topology, type Answer} from '../scenario/fake-lab.ts';

const lab = {...topology, families: ['ipv6'] as const, options: {nat64: {translator: 'tayga', dns64: 'coredns', prefix: 'fd00:64::/96'}}};

function contextOf(answer: Answer): StepContext & {calls: string[]} {
	const fake = createFakeLab(answer);
	const machine = openMachines(fake, new AbortController().signal).handle;
	return {
		node: machine, router: machine, machine, lab,
		get calls() {
			return fake.calls.map((call) => `${call.machine}: ${call.command}`);
		},
	} as unknown as StepContext & {calls: string[]};
}

function caller(stdout: string, exitCode = 0, stderr = ''): Caller {
	return {title: 'somebody', address: '1000::1', run: async () => ({stdout, stderr, exitCode})};
}

test('Programs of a pod run in the network of the process that has its name', async (t) => {
	const context = contextOf(({command}) => ({stdout: command.includes('--uts') ? '4711' : 'answer'}));
	const pod = await podCaller(context, {name: 'a', node: 'node-1', addresses: {ipv6: '1100::2'}, ready: true, phase: 'Running'});
	t.is((await pod.run('dig', 'x y')).stdout, 'answer');
	t.regex(context.calls.at(-1) ?? '', /^node-1: .*nsenter --target 4711 --net dig 'x y'/);
	t.deepEqual([pod.title, pod.address], ['pod a on node-1', '1100::2']);
});

test('A pod without a process on its node is told', async (t) => {
	await t.throwsAsync(podCaller(contextOf(() => ({stdout: ''})), {name: 'a', node: 'node-1', addresses: {ipv6: '1100::2'}, ready: true, phase: 'Running'}), {message: /no process of pod a is on node-1/});
});

test('A node is a caller by its IPv6 address', async (t) => {
	const {handle} = openMachines(createFakeLab(() => ({stdout: 'x', exitCode: 3})), new AbortController().signal);
	t.is((await nodeCaller({...handle('node-1'), machine: {...handle('node-1').machine, address: {ipv6: '1000::7'}}}).run('false')).exitCode, 3);
});

test('Who has a problem is named, with how many have one', async (t) => {
	const callers = [{...caller(''), title: 'a'}, {...caller(''), title: 'b'}];
	await t.throwsAsync(noneHasProblem(callers, 'pings', async ({title}) => (title === 'b' ? 'no answer' : undefined)), {message: 'pings failed for 1 of 2: b: no answer'});
});

test('Addresses are told in one order; a server that does not answer is told as such', async (t) => {
	t.is(await addressesOf(caller('b\na'), 'AAAA', 'x'), 'a b');
	t.regex(await addressesOf(caller(';; no servers could be reached', 9), 'A', 'x'), /exit code 9/);
});

test('An answer of somebody else is a problem, and so is none', async (t) => {
	t.is(await answeredBy(caller('server-1'), 'http://x', 'server-1'), undefined);
	t.regex(await answeredBy(caller('router-1'), 'http://x', 'server-1') ?? '', /`server-1`, and gave exit code 0, "router-1"/);
	t.regex(await answeredBy(caller('', 28, 'timed out'), 'http://x', 'server-1') ?? '', /exit code 28, "timed out"/);
});

test('Only a name without address, a refused connection or no answer counts as nobody', async (t) => {
	for (const exitCode of [6, 7, 28]) {
		t.is(await notAnswered(caller('', exitCode), 'http://x'), undefined);
	}

	for (const exitCode of [0, 2, 22, 127]) {
		t.not(await notAnswered(caller('', exitCode), 'http://x'), undefined);
	}

	// Where the name is to have an address, one that has none shows nothing of who answers there.
	t.not(await notAnswered(caller('', 6), 'http://x', {hasAddress: true}), undefined);
	t.is(await notAnswered(caller('', 7), 'http://x', {hasAddress: true}), undefined);
});

test('The MTU of a path is what was learnt, not what a link has', async (t) => {
	t.is(await pathMtu(caller('fd00:64::1 from :: via 1000::9 dev eth1 src 1000::1 metric 1024 expires 597sec mtu 1320 pref medium'), 'fd00:64::1'), 1320);
	t.is(await pathMtu(caller('fd00:64::1 from :: via 1000::9 dev eth1 mtu 1500 pref medium'), 'fd00:64::1'), undefined);
});

test('A large request that comes back in part has failed', async (t) => {
	t.is(await largeRequestFails(caller('15000\n'), 'fd00:64::1', 8080), undefined);
	t.regex(await largeRequestFails(caller('1200\n', 0, 'curl: (28) timed out'), 'fd00:64::1', 8080) ?? '', /15000 bytes is not answered whole/);
});

test('What was changed for a check is changed back, though the check failed', async (t) => {
	const context = contextOf(({command}) => ({stdout: command.includes('grep') ? '/etc/vmlab/tayga.conf' : command.includes('cat --') ? 'ipv4-addr 192.168.255.1\nprefix fd00:64::/96\n' : ''}));
	const fail = async (): Promise<never> => {
		throw new Error('no');
	};
	const router = context.router('node-2');
	await t.throwsAsync(withoutPacketTooBig(router, fail), {message: 'no'});
	t.regex(context.calls.at(-1) ?? '', /nft delete table ip6 no-packet-too-big/);
	await t.throwsAsync(withoutTranslator(context, router, fail), {message: 'no'});
	t.regex(context.calls.at(-1) ?? '', /systemctl start vmlab-tayga\.service/);
	await t.throwsAsync(withWideInvitation(router, '192.168.2.0/24', fail), {message: 'no'});
	t.notRegex(context.calls.at(-1) ?? '', /advmss/);
	await t.throwsAsync(withPrefix(context, router, '64:ff9b::/96', fail), {message: 'no'});
	t.regex(context.calls.at(-1) ?? '', /systemctl restart vmlab-tayga\.service/);
});

test('An IPv4 address is the end of one within the prefix', (t) => {
	t.is(nat64Of(lab).within('192.168.2.231'), 'fd00:64::c0a8:2e7');
});
