/** The row of the fabric without machines: what it carries from a generator to a sink, both on its unix sockets, the recorder included as in any lab. */
import {type ChildProcess, fork} from 'node:child_process';
import {once} from 'node:events';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {headerBytes} from '../../lab/fabric/framing.ts';
import {withTemporaryFolder} from '../../lab/host/temporary.ts';
import {startFabric} from './compiled.ts';
import type {SinkCount} from './frame-sink.ts';
import {median, pass, round, type RowSink} from './measure.ts';

/** Bytes of a frame: as many as an Ethernet header and an MTU of 1500 make. */
const frameBytes = 1514;
/** Milliseconds before the first measurement: both ends and the fabric's code are warm then. */
const warmUp = 1500;
/** Measurements one after the other, and milliseconds of each. */
const rounds = 5;
const window = 1000;

/** Starts an end of a link as a process of its own, and returns when it says that it is at work. */
async function startEnd(name: string, words: readonly string[]): Promise<ChildProcess> {
	const child = fork(fileURLToPath(new URL(`${name}.ts`, import.meta.url)), words, {execArgv: ['--import=tsx']});
	await once(child, 'message');
	return child;
}

async function countOf(sink: ChildProcess): Promise<SinkCount> {
	const answered = once(sink, 'message') as Promise<[SinkCount]>;
	sink.send('count');
	return (await answered)[0];
}

/** Frames per second that the sink gets, in several windows; frames that the generator sent and the sink's link had no room for are told beside. */
export async function measureFabricAlone(_wanted: ReadonlySet<string>, found: RowSink): Promise<void> {
	await withTemporaryFolder(async (folder) => {
		const ends = ['generator', 'sink'];
		const fabric = await startFabric({folder, networks: [{name: 'bench', ports: ends.map((name) => ({name, socket: `${name}.sock`}))}]});
		const started: ChildProcess[] = [];
		try {
			const sink = await startEnd('frame-sink', [path.join(folder, 'sink.sock')]);
			started.push(sink);
			started.push(await startEnd('frame-generator', [path.join(folder, 'generator.sock'), String(frameBytes)]));
			await pass(warmUp);
			const rates: number[] = [];
			let last = await countOf(sink);
			for (let count = 0; count < rounds; count++) {
				await pass(window);
				const next = await countOf(sink);
				rates.push((next.bytes - last.bytes) / (frameBytes + headerBytes) / ((next.at - last.at) / 1000));
				last = next;
			}

			const reports = await fabric.report();
			const sent = reports.reduce((sum, {framesIn}) => sum + framesIn, 0);
			const dropped = reports.reduce((sum, {droppedOut, droppedIn}) => sum + droppedOut + droppedIn, 0);
			const rate = median(rates);
			await found({
				name: 'fabric-alone', value: Math.round(rate), unit: 'frames/s', goal: '> 1000000', met: rate > 1_000_000,
				compared: {
					'Gbit/s': round(rate * frameBytes * 8 / 1e9), 'slowest': Math.round(Math.min(...rates)), 'quickest': Math.round(Math.max(...rates)),
					'dropped, the sink being full, %': round(sent === 0 ? 0 : 100 * dropped / sent), 'bytes of a frame': frameBytes, rounds,
				},
			});
		} finally {
			for (const child of started) {
				child.disconnect();
			}

			await fabric.stop();
		}
	});
}
