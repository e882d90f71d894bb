/** The row of impairments: what two guests see of each, against what was set. */
import {until} from '../../lab/host/wait.ts';
import {type Impairment, linkName} from '../../lab/spec/impairment.ts';
import {type BenchNetwork, networkName} from './bench-network.ts';
import {counts, countFlood, roundTrips, sendFlood} from './guest-traffic.ts';
import {median, round, type Row} from './measure.ts';
import {framesForLoss} from './traffic-figures.ts';

/** Proportions, milliseconds, bits per second. */
const settings = {loss: [0.01, 0.05, 0.1, 0.3], delay: [5, 20, 100, 300], rate: [1e6, 5e6, 20e6, 60e6]} as const;
/** How far from what is set is near enough: of the loss and of the rate that is set, and milliseconds. */
const tolerance = {loss: 0.02, delay: 1, rate: 0.03} as const;
/** The seed of all: losses are the same ones each time. */
const seed = 1;
/** Bytes of a frame of 64 without its checksum, and of one that fills an MTU of 1500. */
const [smallFrame, largeFrame] = [60, 1514];
/** Seconds of the flood that tells what the receiver takes, and the part of it that is sent for losses: no frame may be lost for another reason. */
const probe = 5;
const part = 0.4;
/** Pings of each delay, and milliseconds between them. */
const pings = 100;
const apart = 50;
/** Seconds that a rate is measured for, and how many times the rate comes in; and seconds of it that may wait: they are gone before the next rate is measured. */
const rateSeconds = 10;
const overload = 1.5;
const queueSeconds = 0.3;

/** One setting, and what was measured. */
interface Measured {
	readonly text: string;
	readonly seen: string;
	/** Is it near enough? */
	readonly near: boolean;
}

/** Measures all settings one after the other, each on the link of the receiver, towards it. */
export async function measureImpairments(network: BenchNetwork): Promise<Row> {
	const all = [...await measureLosses(network), ...await measureDelays(network), ...await measureRates(network)];
	const near = all.filter((one) => one.near).length;
	return {
		name: 'impairment-error', value: near, unit: 'settings', goal: `${all.length}, each within 2 % of the loss, 1 ms, 3 % of the rate`, met: near === all.length,
		compared: Object.fromEntries(all.map(({text, seen}) => [text, seen])),
	};
}

/** Sets the only impairment of the receiver's link while `use` measures. */
async function impaired<Value>({ends, fabric}: BenchNetwork, impairment: Omit<Impairment, 'direction'>, use: () => Promise<Value>): Promise<Value> {
	const link = linkName(ends[1]!.guest.name, networkName);
	await fabric!.changeLink({kind: 'impair', link, impairments: [{direction: 'to', seed, ...impairment}]});
	try {
		return await use();
	} finally {
		await fabric!.changeLink({kind: 'clear', link});
	}
}

async function measureLosses(network: BenchNetwork): Promise<Measured[]> {
	const [from, to] = network.ends;
	const {framesPerSecond} = await countFlood(network, {bytes: smallFrame}, probe);
	/** What the receiver lacks of what the sender has sent, when no more comes. */
	const lost = async (count: number): Promise<{sent: number; received: number}> => {
		const [sentBefore, before] = [await counts(from!), await counts(to!)];
		await sendFlood(network, {bytes: smallFrame, count, rate: framesPerSecond * part});
		let last = -1;
		const received = await until('the receiver gets nothing more', async () => {
			const now = (await counts(to!)).received;
			const isSame = now === last;
			last = now;
			return isSame ? {met: true, value: now} : {met: false, seen: `${now} frames`};
		}, {deadline: 60_000, interval: 1000});
		return {sent: (await counts(from!)).sent - sentBefore.sent, received: received - before.received};
	};

	const measured: Measured[] = [];
	for (const loss of settings.loss) {
		const overrun = await overrunOf(network);
		const {sent, received} = await impaired(network, {loss}, async () => lost(framesForLoss(loss, tolerance.loss)));
		const other = await overrunOf(network) - overrun;
		const seen = 1 - received / sent;
		measured.push({
			text: `loss ${loss * 100} %`, near: Math.abs(seen - loss) <= tolerance.loss * loss && other === 0,
			seen: `${(seen * 100).toFixed(3)} % of ${sent}${other === 0 ? '' : `, of which ${other} frames for another reason`}`,
		});
	}

	return measured;
}

/** Frames that the fabric had no room for on the receiver's link: they are no losses that were set. */
async function overrunOf({ends, fabric}: BenchNetwork): Promise<number> {
	const report = (await fabric!.report()).find(({port}) => port === ends[1]!.guest.name);
	return (report?.droppedOut ?? 0) - (report?.dropsOut.loss ?? 0);
}

async function measureDelays(network: BenchNetwork): Promise<Measured[]> {
	const trip = async (): Promise<number> => median(await roundTrips(network, pings, apart));
	const measured: Measured[] = [];
	for (const delay of settings.delay) {
		const before = await trip();
		const delayed = await impaired(network, {delay}, trip);
		// What else the computer does changes a round trip: it is looked at on both sides.
		const seen = delayed - (before + await trip()) / 2;
		measured.push({text: `delay ${delay} ms`, near: Math.abs(seen - delay) <= tolerance.delay, seen: `${round(seen)} ms more than ${round(before)}`});
	}

	return measured;
}

async function measureRates(network: BenchNetwork): Promise<Measured[]> {
	const measured: Measured[] = [];
	for (const rate of settings.rate) {
		const frames = rate / (largeFrame * 8);
		const {bitsPerSecond} = await impaired(
			network, {rate, limit: {frames: Math.ceil(frames * queueSeconds)}}, async () => countFlood(network, {bytes: largeFrame, rate: frames * overload}, rateSeconds),
		);
		measured.push({text: `rate ${rate / 1e6} Mbit/s`, near: Math.abs(bitsPerSecond - rate) <= tolerance.rate * rate, seen: `${(bitsPerSecond / 1e6).toFixed(3)} Mbit/s`});
	}

	return measured;
}
