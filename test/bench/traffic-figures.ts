/** What the tools of a benchmark's guests say, as figures: pure. */

/** What one run of iperf3 over TCP gave. */
export interface TcpFigures {
	/** As the receiver took them. */
	readonly bitsPerSecond: number;
	readonly retransmits: number;
}

/** What a NIC has counted since it is there: files of /sys/class/net/DEVICE/statistics. */
export interface CardCounts {
	readonly sent: number;
	readonly received: number;
	/** Of the frames that were received, with their Ethernet headers. */
	readonly receivedBytes: number;
	/** Seconds, by the machine's own clock. */
	readonly at: number;
}

/** Reads what `iperf3 --client --json` writes of a TCP test. Throws Error, with what iperf3 says itself, where that is no result. */
export function readTcp(text: string): TcpFigures {
	const {error, end} = parse(text) as {error?: string; end?: {sum_sent?: {retransmits?: number}; sum_received?: {bits_per_second?: number}}};
	const bitsPerSecond = end?.sum_received?.bits_per_second;
	if (error !== undefined || bitsPerSecond === undefined) {
		throw new Error(`iperf3: ${error ?? `no throughput in ${text.slice(0, 200)}`}`);
	}

	return {bitsPerSecond, retransmits: end?.sum_sent?.retransmits ?? 0};
}

function parse(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch (error) {
		throw new Error(`iperf3 wrote no JSON: ${text.slice(0, 200)}`, {cause: error});
	}
}

/** The round trips that ping (iputils) tells of, in milliseconds, in the order in which they were answered. */
export function readRoundTrips(text: string): number[] {
	return [...text.matchAll(/ time=([\d.]+) ms/g)].map(([, milliseconds]) => Number(milliseconds));
}

/** The shell command that tells a NIC's counters, for `readCounts`. Time is taken with them, and nothing is started in between. */
export function countsCommand(device: string): string {
	const names = ['tx_packets', 'rx_packets', 'rx_bytes'];
	return [
		`cd /sys/class/net/${device}/statistics`,
		...names.map((name) => `read ${name} <${name}`),
		'read up idle </proc/uptime',
		`echo ${names.map((name) => `$${name}`).join(' ')} $up`,
	].join('; ');
}

/** Reads what `countsCommand` gives, as often as it was run. Throws Error for what is no such line. */
export function readCounts(text: string): CardCounts[] {
	return text.trim().split('\n').map((line) => {
		const [sent, received, receivedBytes, at] = line.split(' ').map(Number);
		if (sent === undefined || received === undefined || receivedBytes === undefined || at === undefined || Number.isNaN(sent + received + receivedBytes + at)) {
			throw new Error(`no counters of a NIC: ${line}`);
		}

		return {sent, received, receivedBytes, at};
	});
}

/** What a NIC counted between two looks. Throws Error where no time has passed. */
export function between(before: CardCounts, after: CardCounts): {readonly received: number; readonly sent: number; readonly framesPerSecond: number; readonly bitsPerSecond: number} {
	const seconds = after.at - before.at;
	if (!(seconds > 0)) {
		throw new Error(`${seconds} s between two looks at a NIC`);
	}

	const received = after.received - before.received;
	return {received, sent: after.sent - before.sent, framesPerSecond: received / seconds, bitsPerSecond: (after.receivedBytes - before.receivedBytes) * 8 / seconds};
}

/** A figure against the best of others: how many times it. Throws Error without others. */
export function againstBetter(own: number, others: readonly number[], better: 'more' | 'less'): number {
	if (others.length === 0) {
		throw new Error('there is nothing to compare with');
	}

	return own / (better === 'more' ? Math.max(...others) : Math.min(...others));
}

/**
 * Frames that must be sent so that the proportion of those lost differs by less than `tolerance` of it from what is set, but for three of a thousand times: three standard
 * deviations of a binomial distribution.
 */
export function framesForLoss(loss: number, tolerance: number): number {
	return Math.ceil((1 - loss) / loss * (3 / tolerance) ** 2);
}
