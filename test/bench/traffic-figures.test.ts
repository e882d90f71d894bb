import test from 'ava';
import {philox} from '../../lab/fabric/generator.ts';
import {decide, noProgress} from '../../lab/fabric/impairment.ts';
import {run} from '../../lab/host/program.ts';
import {inTurns, median} from './measure.ts';
import {againstBetter, between, countsCommand, framesForLoss, readCounts, readRoundTrips, readTcp} from './traffic-figures.ts';

/** The parts that are read of what iperf3 3.12 writes, among others as it has them. */
const tcpResult = {
	start: {version: 'iperf 3.12', test_start: {protocol: 'TCP', num_streams: 1, duration: 5}},
	intervals: [],
	end: {
		streams: [],
		sum_sent: {start: 0, end: 5.000_1, seconds: 5.000_1, bytes: 341_000_000, bits_per_second: 545_589_088.2, retransmits: 17, sender: true},
		sum_received: {start: 0, end: 5.041, seconds: 5.041, bytes: 340_000_000, bits_per_second: 539_575_481.1, sender: true},
	},
};

test('throughput is what the receiver took', (t) => {
	t.deepEqual(readTcp(JSON.stringify(tcpResult)), {bitsPerSecond: 539_575_481.1, retransmits: 17});
});

test('a test of iperf3 that failed throws what iperf3 says', (t) => {
	t.throws(() => readTcp('{"start": {}, "intervals": [], "end": {}, "error": "unable to connect to server: Connection refused"}'), {message: /Connection refused/});
	t.throws(() => readTcp('{"start": {}, "end": {}}'), {message: /no throughput/});
	t.throws(() => readTcp('iperf3: parameter error'), {message: /no JSON.*parameter error/});
});

test('round trips are read where there is an answer', (t) => {
	t.deepEqual(readRoundTrips([
		'PING 198.18.0.2 (198.18.0.2) 56(84) bytes of data.',
		'64 bytes from 198.18.0.2: icmp_seq=1 ttl=64 time=1.83 ms',
		'64 bytes from 198.18.0.2: icmp_seq=3 ttl=64 time=12 ms',
		'--- 198.18.0.2 ping statistics ---',
		'3 packets transmitted, 2 received, 33.3333% packet loss, time 40ms',
		'rtt min/avg/max/mdev = 1.830/6.915/12.000/5.085 ms',
	].join('\n')), [1.83, 12]);
});

test('the counters of a NIC are told by the kernel of the machine that asks', async (t) => {
	const {stdout} = await run('sh', ['-c', `${countsCommand('lo')}; sleep 0.2; ${countsCommand('lo')}`]);
	const [before, after] = readCounts(stdout);
	t.true(before!.sent >= 0 && after!.received >= before!.received && after!.receivedBytes >= before!.receivedBytes);
	t.true(after!.at > before!.at);
	t.throws(() => readCounts('sh: cannot open tx_packets'), {message: /no counters/});
});

test('rates are by the clock of the machine that counted', (t) => {
	const before = {sent: 10, received: 100, receivedBytes: 10_000, at: 50};
	t.deepEqual(between(before, {sent: 30, received: 1100, receivedBytes: 70_000, at: 54}), {sent: 20, received: 1000, framesPerSecond: 250, bitsPerSecond: 120_000});
	t.throws(() => between(before, before), {message: /0 s between/});
});

test('a figure is compared with the best of the others', (t) => {
	t.is(againstBetter(330, [300, 200], 'more'), 1.1);
	t.is(againstBetter(2.2, [2, 4], 'less'), 1.1);
	t.throws(() => againstBetter(1, [], 'more'));
});

test('so many frames tell a loss within its tolerance, by the program\'s own random numbers', (t) => {
	t.is(framesForLoss(0.3, 0.02), 52_500);
	t.is(framesForLoss(0.01, 0.02), 2_227_500);
	for (const seed of [1, 2, 3]) {
		const key = [philox([seed, 0], [0, 0, 0, 0])[0], seed] as const;
		const frames = framesForLoss(0.3, 0.02);
		let progress = noProgress;
		let lost = 0;
		for (let frame = 0; frame < frames; frame++) {
			const decided = decide({direction: 'to', loss: 0.3}, key, progress);
			progress = decided.progress;
			lost += decided.fate.lost ? 1 : 0;
		}

		t.true(Math.abs(lost / frames - 0.3) < 0.3 * 0.02, `seed ${seed}: ${lost} of ${frames}`);
	}
});

test('ways are measured in turns, each round in another order', async (t) => {
	const order: string[] = [];
	let value = 0;
	const way = (name: string) => async () => {
		order.push(name);
		value += 1;
		return value;
	};
	t.deepEqual(await inTurns(3, {a: way('a'), b: way('b')}), {a: [1, 4, 5], b: [2, 3, 6]});
	t.is(order.join(''), 'abbaab');
	t.is(median([1, 5, 4]), 4);
});
