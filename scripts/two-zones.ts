import {claim, defineScenario, describeFlow, passesThrough} from 'vmlab';
import {twoZonesLab} from './labs/routing.ts';
import {addressOf} from './steps/address.ts';
import {greetedFlow, startGreeter} from './steps/greeter.ts';
import {claimNotReached, claimPath, cutLink} from './steps/hops.ts';

const gates = ['router-1', 'router-2'];
const across = 'machines of different zones reach each other over both routers';

export default defineScenario({
	summary: 'Two zones, each behind a router of its own, and a backbone between them: what stays in a zone, and what crosses it, in both families',
	lab: twoZonesLab,
	budget: '2m',
	async steps(context) {
		const {lab, machines, machine, step, fabric} = context;
		const hosts = machines('host');
		const [east, west] = [hosts.slice(0, 2), hosts.slice(2)];
		const [one, two, far] = [machine('host-1'), machine('host-2'), machine('host-3')] as const;

		await step('machines of one zone reach each other without passing a router', async () => {
			for (const family of lab.families) {
				for (const [from, to] of [east, east.toReversed(), west, west.toReversed()]) {
					await claimPath(lab, from!, to!, family, []);
				}
			}
		});

		await step(across, async () => {
			for (const family of lab.families) {
				for (const [index, from] of east.entries()) {
					await claimPath(lab, from, west[index]!, family, gates);
					await claimPath(lab, west[index]!, from, family, gates.toReversed());
				}
			}
		});

		await step('a connection between zones crosses the backbone, with the addresses of its ends', async () => {
			await startGreeter(context, far);
			for (const family of lab.families) {
				const flow = await greetedFlow(context, one, far, family);
				const isWhole = gates.every((gate) => passesThrough(flow, gate) && passesThrough(flow, gate, 'back'));
				const sources = new Set(flow.crossings.filter(({way, network}) => way === 'there' && network === 'backbone').map(({source}) => source.address));
				claim(isWhole && [...sources].join() === addressOf(one.machine, family), `it does not cross the backbone as it began (${[...sources].join(', ')})`, describeFlow(flow));
			}
		});

		await step('control: a connection within a zone is not seen on the backbone, nor by a router', async () => {
			await startGreeter(context, two);
			for (const family of lab.families) {
				const flow = await greetedFlow(context, one, two, family);
				const strange = flow.crossings.filter(({machine: name}) => !['host-1', 'host-2'].includes(name)).map(({link}) => link);
				claim(strange.length === 0, `it crossed ${strange.join(', ')}`, describeFlow(flow));
			}
		});

		await step('while the zones are parted, each goes on for itself', async () => {
			await fabric.cut('router-2@backbone');
			for (const family of lab.families) {
				await claimNotReached(one, addressOf(far.machine, family));
				await claimNotReached(far, addressOf(one.machine, family));
				await claimPath(lab, one, two, family, []);
				await claimPath(lab, far, west[1]!, family, []);
			}
		});

		await step('they reach each other again when the backbone is whole', async () => {
			for (const family of lab.families) {
				await claimPath(lab, one, far, family, gates);
			}
		});
	},
	mutation: cutLink({
		summary: 'the link of router-2 to the backbone is cut, on the only path between the zones',
		link: 'router-2@backbone', red: across, from: 'host-1', to: 'host-3', hop: 2, behind: 'router-2', ahead: 'router-1',
	}),
});
