/** Packets that are too big for a network on their way: who says so, and what becomes of TCP. */
import {claim, type Family, type LabTopology, type MachineHandle} from 'vmlab';
import {readHop} from './hops.ts';

/** Seconds. */
const patience = 5;

/** Bytes of the headers before a ping's data: IP and ICMP. */
const headers: Readonly<Record<Family, number>> = {ipv4: 28, ipv6: 48};

/** Makes a machine forget what it was told of paths. */
export async function forgetPaths({$}: MachineHandle): Promise<void> {
	await $`ip -4 route flush cache; ip -6 route flush cache`;
}

/** Sends one packet of so many bytes that nobody may cut into pieces, and gives what ping(8) says. */
async function sendWhole(from: MachineHandle, address: string, family: Family, bytes: number): Promise<{arrived: boolean; text: string}> {
	const {exitCode, stdout, stderr} = await from.try$`ping -n -c 1 -W ${patience} -M do -s ${bytes - headers[family]} ${address}`;
	return {arrived: exitCode === 0, text: `${stdout}\n${stderr}`};
}

/** Claims that a packet of so many bytes arrives whole. */
export async function claimWhole(from: MachineHandle, address: string, family: Family, bytes: number): Promise<void> {
	const {arrived, text} = await sendWhole(from, address, family, bytes);
	claim(arrived, `a packet of ${bytes} bytes from ${from.name} to ${address} does not arrive`, text.split('\n'));
}

/** Claims that one is too big for the link that it would leave by, and that the machine itself says so. */
export async function claimTooLong(from: MachineHandle, address: string, family: Family, bytes: number, fitting: number): Promise<void> {
	const {arrived, text} = await sendWhole(from, address, family, bytes);
	claim(!arrived, `a packet of ${bytes} bytes from ${from.name} to ${address} arrives`);
	const [, told] = /message too long, mtu[=:] ?(\d+)/i.exec(text) ?? [];
	claim(told === String(fitting), `${from.name} does not say that a packet of ${bytes} bytes is too long for its link, and ${fitting} would fit`, text.split('\n'));
}

/** Claims that one is too big, and that this router says so, with the size that would fit. */
export async function claimTooBig(lab: LabTopology, from: MachineHandle, address: string, family: Family, bytes: number, {by: router, fitting}: {readonly by: string; readonly fitting: number}): Promise<void> {
	const {arrived, text} = await sendWhole(from, address, family, bytes);
	claim(!arrived, `a packet of ${bytes} bytes from ${from.name} to ${address} arrives`);
	// Fragmentation needed and DF set (RFC 1191), or Packet Too Big (RFC 4443, 3.2).
	const {by = 'nobody', words} = readHop(lab, text);
	const [, told] = /^(?:frag needed and df set \(mtu = |packet too big: mtu=)(\d+)/i.exec(words) ?? [];
	claim(by === router && told === String(fitting), `of a packet of ${bytes} bytes from ${from.name} to ${address} ${router} should say that ${fitting} would fit, and ${by} says: ${words}`, text.split('\n'));
}

/** Claims what a machine has learnt of the path to an address: the most bytes of a packet. */
export async function claimPathMtu(machine: MachineHandle, address: string, mtu: number): Promise<void> {
	const {stdout} = await machine.$`ip route get ${address}`;
	const [, learnt] = /\bexpires \d+sec mtu (\d+)/.exec(stdout) ?? [];
	claim(learnt === String(mtu), `${machine.name} takes packets to ${address} to be of ${learnt ?? 'no other size than its link'}, not ${mtu}`, [stdout]);
}

/** Where what is sent is counted. */
export const counterPort = 8001;

/** Starts a server on a machine that counts the bytes that a client sends, and tells how many they were. */
export async function startCounter({$}: MachineHandle): Promise<void> {
	await $`systemd-run --quiet --unit=counter socat -t 20 TCP6-LISTEN:${counterPort},ipv6only=0,reuseaddr,fork 'EXEC:wc -c'
		timeout 20 bash -c ${`until ss -Hltn sport = :${counterPort} | grep -q .; do sleep 0.2; done`}`;
}

/** Seconds that a connection may take to send all, and to be told how much that was. */
const sending = 15;

/** How many bytes of those that a machine sends arrive, as the counter there says; undefined where the connection hangs. Claims that it is not refused, and does not end for another reason. */
export async function sendCounted({try$, name}: MachineHandle, address: string, bytes: number): Promise<number | undefined> {
	const {stdout, stderr, exitCode} = await try$`head -c ${bytes} /dev/zero | timeout ${sending} nc -N ${address} ${counterPort}`;
	// timeout(1): the time was over.
	claim(exitCode === 0 || exitCode === 124, `a connection from ${name} to the counter at ${address} ends with exit code ${exitCode}`, [stdout, stderr]);
	return exitCode === 124 ? undefined : Number(stdout.trim());
}

/** Runs `use` while a router tells nobody that a packet was too big, and claims that it wanted to, in these families. */
export async function withoutTooBig<Value>(router: MachineHandle, families: readonly Family[], use: () => Promise<Value>): Promise<Value> {
	await router.$`nft ${'table inet silent { chain postrouting { type filter hook postrouting priority filter; icmp type destination-unreachable icmp code frag-needed counter drop; icmpv6 type packet-too-big counter drop; }; }'}`;
	try {
		const value = await use();
		const {stdout} = await router.$`nft list table inet silent`;
		for (const family of families) {
			const [, silenced] = (family === 'ipv4' ? /^\s*icmp .*counter packets (\d+)/m : /^\s*icmpv6 .*counter packets (\d+)/m).exec(stdout) ?? [];
			claim(Number(silenced) > 0, `${router.name} did not want to tell anybody that a packet was too big (${family})`, stdout.split('\n'));
		}

		return value;
	} finally {
		await router.$`nft delete table inet silent`;
	}
}
