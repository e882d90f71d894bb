/** The rows of two guests on one network: the fabric against vde_switch and QEMU's UDP multicast, and against itself. */
import {closeSync, openSync, writeSync} from 'node:fs';
import {receiveCapture} from '../../lab/fabric/capture-stream.ts';
import {pcapngReader} from '../../lab/fabric/pcapng-reader.ts';
import {type BenchNetwork, missingForVde, networkName, type NetworkKind, withNetworks} from './bench-network.ts';
import {countFlood, roundTrips, startServers, tcp} from './guest-traffic.ts';
import {withGuests} from './guests.ts';
import {measureImpairments} from './impairment-error.ts';
import {measureLoss} from './fabric-loss.ts';
import {type BenchOptions, inTurns, median, round, type Row, type RowSink} from './measure.ts';
import {againstBetter} from './traffic-figures.ts';

/** Measurements of each network, in turns, and seconds of each. */
const rounds = 5;
const seconds = 5;
/** Those of the fabric against itself: smaller differences want more. */
const costRounds = 9;
/** Pings of each round, and milliseconds between them. */
const pings = 100;
const apart = 20;
/** Ports of the servers of iperf3: for `fabric-loss` more than one. */
const ports = [5201, 5202, 5203];
/** Bytes of a frame of 64 without its checksum. */
const smallFrame = 60;

/** Measures those that are wanted on one fork of one lab. */
export async function measureFabricPair(wanted: ReadonlySet<string>, found: RowSink, {minutes}: BenchOptions): Promise<void> {
	const missing = await missingForVde();
	const compared: readonly NetworkKind[] = ['fabric', ...(missing === undefined ? ['vde_switch' as const] : []), 'multicast'];
	const told: Row['compared'] = missing === undefined ? {} : {vde_switch: missing};
	const isWanted = (...names: readonly string[]): boolean => names.some((name) => wanted.has(name));
	await withGuests(2, async (guests) => {
		await withNetworks(guests, [...compared, ...(isWanted('recorder-cost') ? ['fabric without recorder' as const] : [])], async (all) => {
			const {fabric} = all;
			const others = compared.filter((kind) => kind !== 'fabric').map((kind) => all[kind]);
			await startServers(fabric.ends[1]!, ports);
			await startServers(fabric.ends[0]!, ports);
			if (isWanted('fabric-tcp-ratio')) {
				await found(await measureTcp(fabric, others, told));
			}

			if (isWanted('fabric-small-ratio')) {
				await found(await measureSmall(fabric, others, told));
			}

			if (isWanted('fabric-rtt-ratio')) {
				await found(await measureRoundTrips(fabric, others, told));
			}

			if (isWanted('recorder-cost')) {
				await found(await measureRecorder(fabric, all['fabric without recorder']));
			}

			if (isWanted('capture-cost')) {
				await found(await measureCapture(fabric));
			}

			if (isWanted('impairment-error')) {
				await found(await measureImpairments(fabric));
			}

			if (isWanted('fabric-loss')) {
				await found(await measureLoss([fabric, ...others], ports, minutes, told));
			}
		});
	});
}

/** Measures all networks in turn: kind -> what each round gave. */
async function ofEach<Value>(networks: readonly BenchNetwork[], measure: (network: BenchNetwork) => Promise<Value>): Promise<ReadonlyMap<NetworkKind, Value[]>> {
	const seen = await inTurns(rounds, Object.fromEntries(networks.map((network) => [network.kind, async () => measure(network)])));
	return new Map(networks.map(({kind}) => [kind, seen[kind]!]));
}

/** The medians of all networks, under their names and a unit. */
function medians(seen: ReadonlyMap<NetworkKind, number[]>, unit: string): Record<string, number> {
	return Object.fromEntries([...seen].map(([kind, values]) => [`${kind}, ${unit}`, round(median(values))]));
}

/** How many times the better of the others the fabric is. */
function ratioOf(seen: ReadonlyMap<NetworkKind, number[]>, better: 'more' | 'less'): number {
	const others = [...seen].flatMap(([kind, values]) => (kind === 'fabric' ? [] : [median(values)]));
	return againstBetter(median(seen.get('fabric')!), others, better);
}

async function measureTcp(fabric: BenchNetwork, others: readonly BenchNetwork[], told: Row['compared']): Promise<Row> {
	const seen = await ofEach([fabric, ...others], async (network) => tcp(network, seconds));
	const rates = new Map([...seen].map(([kind, figures]) => [kind, figures.map(({bitsPerSecond}) => bitsPerSecond / 1e6)]));
	const ratio = ratioOf(rates, 'more');
	return {
		name: 'fabric-tcp-ratio', value: round(ratio), unit: 'times', goal: '> 1.1', met: ratio > 1.1,
		compared: {
			...medians(rates, 'Mbit/s'), ...medians(new Map([...seen].map(([kind, figures]) => [kind, figures.map(({retransmits}) => retransmits)])), 'retransmits'), ...told, rounds,
		},
	};
}

async function measureSmall(fabric: BenchNetwork, others: readonly BenchNetwork[], told: Row['compared']): Promise<Row> {
	const seen = await ofEach([fabric, ...others], async (network) => (await countFlood(network, {bytes: smallFrame}, seconds)).framesPerSecond);
	const ratio = ratioOf(seen, 'more');
	return {
		name: 'fabric-small-ratio', value: round(ratio), unit: 'times', goal: '> 1.1', met: ratio > 1.1,
		compared: {...medians(seen, 'frames/s received'), ...told, rounds},
	};
}

async function measureRoundTrips(fabric: BenchNetwork, others: readonly BenchNetwork[], told: Row['compared']): Promise<Row> {
	const seen = await ofEach([fabric, ...others], async (network) => median(await roundTrips(network, pings, apart)));
	const ratio = ratioOf(seen, 'less');
	return {
		name: 'fabric-rtt-ratio', value: round(ratio), unit: 'times', goal: '< 1.2', met: ratio < 1.2,
		compared: {...medians(seen, 'ms'), 'pings of each round': pings, ...told, rounds},
	};
}

/** What of the throughput is lost, in percent. */
function lostOf(without: readonly number[], having: readonly number[]): number {
	return 100 * (1 - median(having) / median(without));
}

async function measureRecorder(fabric: BenchNetwork, plain: BenchNetwork): Promise<Row> {
	const rate = async (network: BenchNetwork): Promise<number> => (await tcp(network, seconds)).bitsPerSecond / 1e6;
	const {having, without} = await inTurns(costRounds, {without: async () => rate(plain), having: async () => rate(fabric)});
	const lost = lostOf(without, having);
	return {
		name: 'recorder-cost', value: round(lost), unit: '%', goal: '< 10', met: lost < 10,
		compared: {'with the recorder, Mbit/s': round(median(having)), 'without, Mbit/s': round(median(without)), rounds: costRounds},
	};
}

/** The capture is of both links, with all bytes of each frame, and goes where nothing is written: a disk is not what is measured. */
async function measureCapture(fabric: BenchNetwork): Promise<Row> {
	let bytes = 0;
	let frames = 0;
	let leftOut = 0;
	const captured = async (): Promise<number> => {
		const nowhere = openSync('/dev/null', 'w');
		const read = pcapngReader({
			onFrame() {
				frames += 1;
			},
			onStatistics({dropped}) {
				leftOut += dropped;
			},
		});
		// As `vmlab capture -w` does it.
		const received = await receiveCapture(await fabric.fabric!.capture({networks: [networkName]}), (chunk) => {
			bytes += chunk.length;
			writeSync(nowhere, chunk);
			read(chunk);
			return undefined;
		});
		const {bitsPerSecond} = await tcp(fabric, seconds);
		received.finish();
		await received.over;
		closeSync(nowhere);
		return bitsPerSecond / 1e6;
	};

	const {having, without} = await inTurns(costRounds, {without: async () => (await tcp(fabric, seconds)).bitsPerSecond / 1e6, having: captured});
	const lost = lostOf(without, having);
	return {
		name: 'capture-cost', value: round(lost), unit: '%', goal: '< 25', met: lost < 25,
		compared: {
			'with a capture, Mbit/s': round(median(having)), 'without, Mbit/s': round(median(without)),
			'captured in all, MiB': round(bytes / 1024 ** 2), 'captured frames': frames, 'frames that captures left out': leftOut, rounds: costRounds,
		},
	};
}
