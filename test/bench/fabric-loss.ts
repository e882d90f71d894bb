/** The row of frames that get lost: mixed load for minutes, at a part of what the receivers take, on each network one after the other. */
import {until} from '../../lab/host/wait.ts';
import type {BenchNetwork, NetworkEnd} from './bench-network.ts';
import {counts, countFlood, roundTrips, tcp} from './guest-traffic.ts';
import {round, type Row} from './measure.ts';
import {readTcp} from './traffic-figures.ts';

/** Minutes on each network. */
const fullMinutes = 10;
/** Seconds of each look at what the receivers take. */
const probe = 5;
/** Of the throughput of one TCP connection, and of the small frames that a flood brings through: what the load has of it. */
const parts = {tcp: 0.25, large: 0.06, small: 0.1} as const;
/** Bytes of a datagram: as many as fit, and those that make a frame of 64. */
const datagram = {large: 1472, small: 18} as const;

interface NetworkLoss {
	readonly sent: number;
	/** Frames that a guest sent and the other did not get. */
	readonly lost: number;
	readonly retransmits: number;
	/** Frames that the fabric says that it dropped; undefined of others. */
	readonly dropped: number | undefined;
}

/**
 * Measures one network after the other with the same load, which is made from what the fabric takes: TCP and small datagrams one way, large datagrams and pings
 * the other way, and what answers them.
 *
 * @param networks the fabric first
 */
export async function measureLoss(networks: readonly BenchNetwork[], ports: readonly number[], minutes = fullMinutes, told: Row['compared'] = {}): Promise<Row> {
	const fabric = networks[0]!;
	const {bitsPerSecond} = await tcp(fabric, probe);
	const {framesPerSecond} = await countFlood(fabric, {bytes: 60}, probe);
	const load = {tcp: bitsPerSecond * parts.tcp, large: bitsPerSecond * parts.large, small: framesPerSecond * parts.small};
	const seen = new Map<string, NetworkLoss>();
	for (const network of networks) {
		seen.set(network.kind, await lossOf(network, load, ports, minutes * 60));
	}

	const own = seen.get('fabric')!;
	return {
		name: 'fabric-loss', value: own.dropped!, unit: 'frames', goal: '0', met: own.dropped === 0 && own.lost === 0 && own.sent > 0,
		compared: {
			...Object.fromEntries([...seen].flatMap(([kind, {sent, lost, retransmits}]) => [
				[`${kind}, frames sent`, sent], [`${kind}, frames lost between the guests`, lost], [`${kind}, retransmits`, retransmits],
			])),
			...told, 'minutes of each': minutes, 'TCP, Mbit/s': round(load.tcp / 1e6), 'large datagrams, Mbit/s': round(load.large / 1e6), 'small datagrams/s': Math.round(load.small),
		},
	};
}

/** When nothing is sent any more, NICs have counted all that they sent and got: two looks then give the same. */
async function settled(ends: readonly NetworkEnd[]): Promise<{sent: number; received: number}> {
	let last = '';
	return until('the NICs count nothing more', async () => {
		const all = await Promise.all(ends.map(counts));
		const [sent, received] = [all.reduce((sum, one) => sum + one.sent, 0), all.reduce((sum, one) => sum + one.received, 0)];
		const text = `${sent} sent, ${received} received`;
		const isSame = text === last;
		last = text;
		return isSame ? {met: true, value: {sent, received}} : {met: false, seen: text};
	}, {deadline: 120_000, interval: 2000});
}

async function droppedBy({fabric}: BenchNetwork): Promise<number | undefined> {
	return (await fabric?.report())?.reduce((sum, {droppedIn, droppedOut}) => sum + droppedIn + droppedOut, 0);
}

async function lossOf(network: BenchNetwork, load: {tcp: number; large: number; small: number}, ports: readonly number[], seconds: number): Promise<NetworkLoss> {
	const [one, other] = network.ends as [NetworkEnd, NetworkEnd];
	const [before, droppedBefore] = [await settled([one, other]), await droppedBy(network)];
	const client = async (from: NetworkEnd, to: NetworkEnd, port: number, words: string): Promise<string> =>
		from.guest.run(`iperf3 --client ${to.address} --port ${port} --time ${seconds} --json ${words}`, seconds);
	const udp = (bits: number, length: number): string => `--udp --length ${length} --bitrate ${Math.round(bits)}`;
	const [stream] = await Promise.all([
		client(one, other, ports[0]!, `--bitrate ${Math.round(load.tcp)}`),
		client(one, other, ports[1]!, udp(load.small * datagram.small * 8, datagram.small)),
		client(other, one, ports[2]!, udp(load.large, datagram.large)),
		roundTrips({...network, ends: [other, one]}, seconds, 1000),
	]);
	const [after, droppedAfter] = [await settled([one, other]), await droppedBy(network)];
	const sent = after.sent - before.sent;
	return {
		sent, lost: sent - (after.received - before.received), retransmits: readTcp(stream).retransmits,
		dropped: droppedAfter === undefined || droppedBefore === undefined ? undefined : droppedAfter - droppedBefore,
	};
}
