import {claim, defineScenario, describeFlow, type Family, type MachineHandle, passesThrough} from 'vmlab';
import {diamondLab} from './labs/routing.ts';
import {addressOf} from './steps/address.ts';
import {greetedFlow, startGreeter} from './steps/greeter.ts';
import {claimNotReached, claimPath, cutLink} from './steps/hops.ts';

const byNorth = ['router-1', 'router-2', 'router-4'];
const bySouth = ['router-1', 'router-3', 'router-4'];
const preferred = 'packets go by the north, which costs less, in both directions';

/** Claims that an address answers a machine within so many seconds. */
async function claimAnswerWithin({try$, name}: MachineHandle, address: string, limit: number): Promise<void> {
	const {exitCode} = await try$`
		start=$(date +%s%N)
		passed() { echo $((($(date +%s%N) - start) / 1000000)); }
		until ping -n -c 1 -W 1 ${address} >/dev/null 2>&1; do
			[ $(passed) -lt ${limit * 1000} ] || exit 1
			sleep 0.1
		done`;
	claim(exitCode === 0, `${address} does not answer ${name} within ${limit} s`);
}

export default defineScenario({
	summary: 'Four routers in a diamond with OSPF: traffic moves to the other side when one is cut, and back, in both families',
	lab: diamondLab,
	variants: {bfd: {bird: {bfd: true}}},
	budget: '3m',
	async steps(context) {
		const {lab, machine, step, eventually, fabric, note} = context;
		const [tester, server, west] = [machine('tester-1'), machine('server-1'), machine('router-1')] as const;
		const {hello, dead, bfd} = lab.options['bird'] as {hello: number; dead: number; bfd: boolean};
		/**
		 * Seconds without an answer after a side is cut. By OSPF's own hellos a neighbour is dead after `dead`, counted from the last hello, which was `hello` before at most; then all
		 * compute their routes anew, at the most once in a second. By BFD it is dead after 1.2 seconds.
		 */
		const outage = bfd ? {least: 0.5, most: dead - hello} : {least: dead - 2 * hello, most: 2 * dead};

		const claimConnection = async (family: Family, side: string, other: string): Promise<void> => {
			const flow = await greetedFlow(context, tester, server, family);
			const isBySide = (['there', 'back'] as const).every((way) => passesThrough(flow, side, way));
			claim(isBySide && !flow.crossings.some(({machine: name}) => name === other), `a connection (${family}) does not go by ${side} alone`, describeFlow(flow));
		};

		await step('each router has its neighbours, and routes to all networks', async () => {
			for (const name of ['router-1', 'router-2', 'router-3', 'router-4']) {
				await eventually(`${name} has its neighbours and routes`, async () => machine(name).$`/usr/lib/vmlab/bird-is-ready`);
			}
		});

		await step(preferred, async () => {
			for (const family of lab.families) {
				await claimPath(lab, tester, server, family, byNorth);
				await claimPath(lab, server, tester, family, byNorth.toReversed());
			}
		});

		await step('a connection passes router-2 and not router-3', async () => {
			await startGreeter(context, server);
			for (const family of lab.families) {
				await claimConnection(family, 'router-2', 'router-3');
			}
		});

		await step('when the north is cut, traffic moves to the south within the time that it should take', async () => {
			const seconds = async (work: Promise<unknown>): Promise<number> => {
				const start = performance.now();
				await work;
				return (performance.now() - start) / 1000;
			};

			// What it takes to ask and to hear of an answer that comes at once is no outage.
			const usual = await Promise.all(lab.families.map(async (family) => seconds(claimAnswerWithin(tester, addressOf(server.machine, family), outage.most))));
			const start = performance.now();
			await fabric.cut('router-2@north-west');
			const times = await Promise.all(lab.families.map(async (family) => {
				await claimAnswerWithin(tester, addressOf(server.machine, family), outage.most);
				return [family, (performance.now() - start) / 1000 - Math.max(...usual)] as const;
			}));
			for (const [family, silent] of times) {
				note(`${family}: no answer for ${silent.toFixed(1)} s`);
				claim(silent >= outage.least, `${family}: the server answered after ${silent.toFixed(1)} s, though nobody can know of the cut before ${outage.least} s`);
				await claimPath(lab, tester, server, family, bySouth);
				await claimPath(lab, server, tester, family, bySouth.toReversed());
				await claimConnection(family, 'router-3', 'router-2');
			}
		});

		await step('it moves back when the north is whole', async () => {
			for (const family of lab.families) {
				await eventually(`packets go by the north (${family})`, async () => {
					await claimPath(lab, tester, server, family, byNorth);
					await claimPath(lab, server, tester, family, byNorth.toReversed());
				});
				await claimConnection(family, 'router-2', 'router-3');
			}
		});

		await step('control: while both sides are cut router-1 has no route to the server, which does not answer', async () => {
			await fabric.cut('router-1@north-west');
			await fabric.cut('router-1@south-west');
			const subnets = lab.networks.find(({name}) => name === 'right')?.subnets ?? {};
			for (const family of lab.families) {
				await eventually(`router-1 has no route to ${subnets[family]}`, async () => {
					const {stdout} = await west.$`ip ${family === 'ipv4' ? '-4' : '-6'} route show ${subnets[family] ?? ''}`;
					claim(stdout === '', `it has \`${stdout}\``);
				});
				await claimNotReached(tester, addressOf(server.machine, family));
			}
		});

		await step('the server answers again when both are whole', async () => {
			for (const family of lab.families) {
				await eventually(`packets go by the north (${family})`, async () => claimPath(lab, tester, server, family, byNorth));
			}
		});
	},
	mutation: cutLink({
		summary: 'the link of router-4 to the server\'s network is cut, behind both sides and on the only path',
		link: 'router-4@right', red: preferred, before: preferred, from: 'tester-1', to: 'server-1', hop: 4, behind: 'server-1', ahead: 'router-4',
	}),
});
