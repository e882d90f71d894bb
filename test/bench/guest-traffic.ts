/** Traffic between guests, and what is measured of it. */
import type {BenchNetwork, NetworkEnd} from './bench-network.ts';
import {startLoad, stopLoad} from './guests.ts';
import {between, type CardCounts, countsCommand, readCounts, readRoundTrips, readTcp, type TcpFigures} from './traffic-figures.ts';

/** Starts a server of iperf3 on each port (5201 is its own default) of a guest; they run until the guest ends. */
export async function startServers({guest}: NetworkEnd, ports: readonly number[]): Promise<void> {
	for (const port of ports) {
		await guest.run(`iperf3 --server --daemon --port ${port}`);
	}
}

/** One TCP connection from the first end to the second, for so many seconds. */
export async function tcp({ends: [from, to]}: BenchNetwork, seconds: number): Promise<TcpFigures> {
	return readTcp(await from!.guest.run(`iperf3 --client ${to!.address} --time ${seconds} --json`, seconds));
}

/** Round trips from the first end to the second, in milliseconds: so many pings, so many milliseconds apart. */
export async function roundTrips({ends: [from, to]}: BenchNetwork, pings: number, apart: number): Promise<number[]> {
	return readRoundTrips(await from!.guest.run(`ping -n -c ${pings} -i ${apart / 1000} -W 5 ${to!.address}`, pings * apart / 1000));
}

/** What a NIC has counted by now. */
export async function counts({guest, device}: NetworkEnd): Promise<CardCounts> {
	return readCounts(await guest.run(countsCommand(device)))[0]!;
}

/** What a NIC counts within so many seconds: both looks are the guest's own, so that how long we take to ask does not count. */
export async function countFor({guest, device}: NetworkEnd, seconds: number): Promise<ReturnType<typeof between>> {
	const look = countsCommand(device);
	const [before, after] = readCounts(await guest.run(`${look}; sleep ${seconds}; ${look}`, seconds));
	return between(before!, after!);
}

/** A flood that a guest's kernel makes. */
export interface Flood {
	/** Bytes of a frame, without its checksum of 4: 60 are what is called a frame of 64. */
	readonly bytes: number;
	/** How many; default: until it is stopped. */
	readonly count?: number;
	/** Frames per second; default as many as can be. */
	readonly rate?: number;
}

/**
 * Readies the kernel's own packet generator (pktgen, in the documentation of Linux) for a flood from the first end of a network to the second. No program in a guest sends as
 * many small frames: each costs iperf3 a system call, and then it is the guest that is measured. The frames are datagrams for an address of the network that nobody has: the
 * receiver takes them from its NIC, where they are counted, and its kernel drops them without an answer.
 */
export async function readyFlood({ends: [from, to]}: BenchNetwork, {bytes, count = 0, rate}: Flood): Promise<void> {
	const lines = [
		`pkt_size ${bytes}`, `count ${count}`, 'clone_skb 0', rate === undefined ? 'delay 0' : `ratep ${Math.round(rate)}`,
		`dst ${from!.address.replace(/\d+$/, '254')}`, `dst_mac ${to!.mac}`, 'udp_dst_min 9', 'udp_dst_max 9',
	];
	const write = (line: string, file: string): string => `echo "${line}" >/proc/net/pktgen/${file}`;
	await from!.guest.run([
		'modprobe pktgen', write('rem_device_all', 'kpktgend_0'), write(`add_device ${from!.device}`, 'kpktgend_0'), ...lines.map((line) => write(line, from!.device)),
	].join(' && '));
}

/** What starts all that was readied: it returns when the flood is over. */
const start = 'echo start >/proc/net/pktgen/pgctrl';

/** Sends a flood whose end is known, to its end. */
export async function sendFlood(network: BenchNetwork, flood: Required<Flood>): Promise<void> {
	await readyFlood(network, flood);
	await network.ends[0]!.guest.run(start, 2 * flood.count / flood.rate);
}

/** What the second end counts within so many seconds of a flood from the first. */
export async function countFlood(network: BenchNetwork, flood: Flood, seconds: number): Promise<ReturnType<typeof between>> {
	const [from, to] = network.ends;
	await readyFlood(network, flood);
	await startLoad(from!.guest, 'flood', start);
	try {
		// The queues on the way are full by then.
		await to!.guest.run('sleep 1');
		return await countFor(to!, seconds);
	} finally {
		await stopLoad(from!.guest, 'flood');
	}
}
