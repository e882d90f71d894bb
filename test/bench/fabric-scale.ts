/** The row of many machines: eight that all send to all others, against two of them. */
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import type {PortReport} from '../../lab/fabric/network.ts';
import {until} from '../../lab/host/wait.ts';
import {type BenchNetwork, type NetworkEnd, withNetworks} from './bench-network.ts';
import {startLoad, stopLoad, withGuests} from './guests.ts';
import {inTurns, median, pass, round, type RowSink} from './measure.ts';

/** Machines of each kind. */
const machines = {many: 8, few: 2} as const;
/** Measurements of each, in turns, and seconds of each. */
const rounds = 5;
const seconds = 8;
/** Where the program that sends and takes is in a machine, and the port that it listens on. */
const program = '/run/all-to-all.pl';
const port = 5300;
/** Bytes that each machine has sent and got when all are at work, and milliseconds until then. */
const atWork = 4 * 1024 * 1024;
const workDeadline = 300_000;

/** What the machines are given in all, counted by the fabric while all are at work. */
export async function measureFabricScale(_wanted: ReadonlySet<string>, found: RowSink): Promise<void> {
	const text = await readFile(path.join(import.meta.dirname, 'all-to-all.pl'), 'utf8');
	await withGuests(machines.many, async (guests) => withNetworks(guests, ['fabric'], async ({fabric: network}) => {
		await Promise.all(guests.map(async (guest) => guest.run(`cat >${program} <<\\END\n${text}\nEND`)));
		const total = async (number: number): Promise<number> => throughput(network, network.ends.slice(0, number));
		const {many, few} = await inTurns(rounds, {few: async () => total(machines.few), many: async () => total(machines.many)});
		const ratio = median(many) / median(few);
		await found({
			name: 'fabric-scale', value: round(ratio), unit: 'times', goal: '>= 1', met: ratio >= 1,
			compared: {
				[`${machines.many} machines, Mbit/s in all`]: round(median(many)), [`${machines.few} machines, Mbit/s in all`]: round(median(few)),
				'TCP connections': `${machines.many * (machines.many - 1)} and ${machines.few * (machines.few - 1)}`, rounds,
			},
		});
	}));
}

/** Mbit/s that these ends get in all while each sends to each other one, headers included. */
async function throughput({fabric}: BenchNetwork, ends: readonly NetworkEnd[]): Promise<number> {
	const reports = async (): Promise<PortReport[]> => (await fabric!.report()).filter(({port: name}) => ends.some(({guest}) => guest.name === name));
	const delivered = async (): Promise<{bytes: number; at: number}> => ({bytes: (await reports()).reduce((sum, {bytesOut}) => sum + bytesOut, 0), at: performance.now()});
	const idle = await reports();
	const working = async (): Promise<number> => (await reports()).filter(({bytesIn, bytesOut}, place) => bytesIn - idle[place]!.bytesIn > atWork && bytesOut - idle[place]!.bytesOut > atWork).length;
	const together = async (use: (end: NetworkEnd) => Promise<void>): Promise<void> => {
		await Promise.all(ends.map(use));
	};

	try {
		await together(async (end) => startLoad(end.guest, 'traffic', `perl ${program} ${port} ${ends.filter((other) => other !== end).map(({address}) => address).join(' ')}`));
		await until('all machines are at work', async () => {
			const count = await working();
			return count === ends.length ? {met: true, value: undefined} : {met: false, seen: `${count} of ${ends.length} have sent and got ${atWork} bytes`};
		}, {deadline: workDeadline, interval: 200});
		const before = await delivered();
		await pass(seconds * 1000);
		const after = await delivered();
		return (after.bytes - before.bytes) * 8 / 1000 / (after.at - before.at);
	} finally {
		await together(async (end) => stopLoad(end.guest, 'traffic').catch(() => {}));
	}
}
