import {claim, countEach, defineScenario, describeFlow, type Family, findUneven, type StepContext, type Way} from 'vmlab';
import {ecmpLab} from './labs/routing.ts';
import {addressOf} from './steps/address.ts';
import {claimGreeted, greeterPort, startGreeter} from './steps/greeter.ts';
import {claimPath, cutLink} from './steps/hops.ts';
import {claimNextNetworks} from './steps/next-hops.ts';

const paths = ['path-a', 'path-b'];
/** Who decides between the paths on the way there, and on the way back. */
const deciders: Readonly<Record<Way, string>> = {there: 'router-1', back: 'router-2'};
const reached = 'the server answers the tester over both routers';

/**
 * Makes new connections from the tester to the server, and gives the path that each took: those of all connections, since a connection that changes its path
 * has its packets out of order.
 */
async function pathsTaken({machine, fabric}: StepContext, family: Family, count: number, way: Way = 'there'): Promise<string[]> {
	const [tester, server] = [machine('tester-1'), machine('server-1')];
	const since = Date.now();
	await claimGreeted(tester, server, addressOf(server.machine, family), count);
	const flows = await fabric.flows({protocol: 'tcp', family, destinationPort: greeterPort}, {since});
	claim(flows.length === count, `${flows.length} connections crossed the links, not ${count}`);
	return flows.map((flow) => {
		const taken = [...new Set(flow.crossings.filter((crossing) => crossing.way === way && crossing.machine === deciders[way] && crossing.direction === 'from' && paths.includes(crossing.network)).map(({network}) => network))];
		claim(taken.length === 1, `a connection went over ${taken.join(' and ') || 'none of the paths'}`, describeFlow(flow));
		return taken[0]!;
	});
}

export default defineScenario({
	summary: 'Two paths that cost the same (ECMP), found by OSPF: connections spread over both, and all take the other one when one is cut, in both families',
	lab: ecmpLab,
	budget: '3m',
	async steps(context) {
		const {lab, machine, step, eventually, fabric, note} = context;
		const [tester, server, entry, exit] = [machine('tester-1'), machine('server-1'), machine('router-1'), machine('router-2')] as const;
		const bothWays = async (wanted: readonly string[]): Promise<void> => {
			await claimNextNetworks(entry, lab, 'right', wanted);
			await claimNextNetworks(exit, lab, 'left', wanted);
		};

		await step('each router has two next hops to what is behind the other, in each family', async () => {
			await eventually('the routes go over both paths', async () => bothWays(paths));
		});

		await step(reached, async () => {
			for (const family of lab.families) {
				await claimPath(lab, tester, server, family, ['router-1', 'router-2']);
			}
		});

		await step('128 connections spread evenly over both paths, in each direction', async () => {
			await startGreeter(context, server);
			for (const family of lab.families) {
				for (const way of ['there', 'back'] as const) {
					const counts = countEach(await pathsTaken(context, family, 128, way));
					const [problem, ...more] = findUneven(counts, paths);
					claim(problem === undefined, `${family}, ${way}: ${problem}`, more);
					note(`${family}, ${way}: ${paths.map((path) => `${path} ${counts.get(path)}`).join(', ')}`);
				}
			}
		});

		await step('control: by addresses alone they all take the same path', async () => {
			// The flow label counts as one of IPv6's addresses here, and Linux gives each connection one of its own.
			const settings = (policy: number): string[] => lab.families.map((family) => `net.${family}.fib_multipath_hash_policy=${policy}`);
			await entry.$`sysctl -qw ${settings(0)}`;
			await tester.$`sysctl -qw net.ipv6.auto_flowlabels=0`;
			try {
				for (const family of lab.families) {
					const counts = countEach(await pathsTaken(context, family, 32));
					claim(counts.size === 1, `${family}: they took both`, [...counts].map(([path, count]) => `${path}: ${count}`));
				}
			} finally {
				await tester.$`sysctl -qw net.ipv6.auto_flowlabels=1`;
				await entry.$`sysctl -qw ${settings(1)}`;
			}
		});

		await step('while path-a is cut, all connections are answered by way of path-b', async () => {
			await fabric.cut('router-1@path-a');
			await eventually('the routes go over path-b alone', async () => bothWays(['path-b']));
			for (const family of lab.families) {
				for (const way of ['there', 'back'] as const) {
					const counts = countEach(await pathsTaken(context, family, 32, way));
					claim(counts.get('path-b') === 32, `${family}, ${way}: path-b has ${counts.get('path-b') ?? 0} of 32`);
				}
			}
		});

		await step('both are used again when path-a is whole', async () => {
			await eventually('the routes go over both paths', async () => bothWays(paths));
			for (const family of lab.families) {
				const [problem, ...more] = findUneven(countEach(await pathsTaken(context, family, 128)), paths);
				claim(problem === undefined, `${family}: ${problem}`, more);
			}
		});
	},
	mutation: cutLink({
		summary: 'the link of server-1 is cut, behind the two paths and on the only one',
		link: 'server-1@right', red: reached, before: reached, from: 'tester-1', to: 'server-1', hop: 3, behind: 'server-1', ahead: 'router-2',
	}),
});
