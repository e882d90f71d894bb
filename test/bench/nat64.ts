/** The row of NAT64: what tayga and jool let through, against plain routing by the same router, in turns. */
import {fork, type ForkedLab, type LabDeclaration} from '../../lab/index.ts';
import {inTurns, median, round, type RowSink} from './measure.ts';

/** Measurements of each way, and seconds of each. */
const rounds = 5;
const seconds = 5;

/** A tester without IPv4, a server without IPv6, and one that plain routing reaches: each on a network of its own, behind one router, which has one translator. */
const labOf = (translator: 'tayga' | 'jool'): LabDeclaration => ({
	families: ['ipv6'],
	networks: {
		near: {families: ['ipv6'], subnets: {ipv6: 'fd00:6::/64'}},
		four: {families: ['ipv4'], subnets: {ipv4: '192.168.2.0/24'}},
		six: {families: ['ipv6'], subnets: {ipv6: 'fd00:7::/64'}},
	},
	machines: {
		router: {count: 1, memory: '256MiB', networks: ['near', 'four', 'six']},
		tester: {count: 1, memory: '256MiB', networks: ['near']},
		four: {count: 1, memory: '256MiB', networks: ['four']},
		six: {count: 1, memory: '256MiB', networks: ['six']},
	},
	overlays: ['base', 'iptools', translator],
});

/** The address of a server as the tester has to write it. */
const server = {four: 'fd00:64::c0a8:2e7', six: 'fd00:7::e8'} as const;

/** Mbit/s of one TCP connection (iperf3), as the server took them. */
async function throughput({machine}: ForkedLab, to: string): Promise<number> {
	const {stdout} = await machine('tester-1').$`iperf3 --client ${to} --time ${seconds} --json`;
	return (JSON.parse(stdout) as {end: {sum_received: {bits_per_second: number}}}).end.sum_received.bits_per_second / 1e6;
}

/** Measures each way in turn, so that what else the computer does meets all alike. The two labs stand beside each other, and one has nothing to do while the other is measured. */
export async function measureNat64(_wanted: ReadonlySet<string>, found: RowSink): Promise<void> {
	const labs: ForkedLab[] = [];
	const open = async (translator: 'tayga' | 'jool'): Promise<ForkedLab> => {
		const running = await fork(labOf(translator));
		labs.push(running);
		for (const name of ['four-1', 'six-1']) {
			await running.machine(name).$`iperf3 --server --daemon`;
		}

		return running;
	};

	try {
		const [withTayga, withJool] = [await open('tayga'), await open('jool')];
		const seen = await inTurns(rounds, {
			tayga: async () => throughput(withTayga, server.four),
			jool: async () => throughput(withJool, server.four),
			plainTayga: async () => throughput(withTayga, server.six),
			plainJool: async () => throughput(withJool, server.six),
		});
		const [tayga, jool, plainTayga, plainJool] = [median(seen.tayga), median(seen.jool), median(seen.plainTayga), median(seen.plainJool)];
		await found({
			name: 'nat64-throughput', value: round(jool / plainJool), unit: 'times', goal: null, met: null,
			compared: {
				'jool, Mbit/s': round(jool), 'plain routing by the same router, Mbit/s': round(plainJool), 'tayga, Mbit/s': round(tayga), 'plain routing by its router, Mbit/s': round(plainTayga),
				'tayga against that, times': round(tayga / plainTayga), rounds,
			},
		});
	} finally {
		for (const running of labs) {
			await running.down();
		}
	}
}
