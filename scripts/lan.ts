import {addressAt, claim, defineScenario, describeFlow, type MachineHandle} from 'vmlab';
import {lanLab} from './labs/routing.ts';
import {addressOf} from './steps/address.ts';
import {greetedFlow, startGreeter} from './steps/greeter.ts';
import {claimNotReached, claimPath, cutLink} from './steps/hops.ts';

const reached = 'each host reaches each other without passing a router';

/** Each host with each other, both ways. */
function pairsOf(hosts: readonly MachineHandle[]): Array<[MachineHandle, MachineHandle]> {
	return hosts.flatMap((from) => hosts.filter((to) => to !== from).map((to): [MachineHandle, MachineHandle] => [from, to]));
}

export default defineScenario({
	summary: 'Hosts on one network find each other by themselves, in both families',
	lab: lanLab,
	budget: '2m',
	async steps(context) {
		const {lab, machines, step, fabric} = context;
		const hosts = machines('host');
		const [one, two, three] = hosts as [MachineHandle, MachineHandle, MachineHandle];

		await step(reached, async () => {
			for (const family of lab.families) {
				for (const [from, to] of pairsOf(hosts)) {
					await claimPath(lab, from, to, family, []);
				}
			}
		});

		await step('each knows the others\' link-layer addresses', async () => {
			for (const family of lab.families) {
				for (const [from, to] of pairsOf(hosts)) {
					const {stdout} = await from.$`ip neighbour show to ${addressOf(to.machine, family)}`;
					const mac = to.machine.links[0]?.mac ?? '';
					claim(stdout.includes(mac), `${from.name} has \`${stdout}\` for ${to.name} (${family}), not ${mac}`);
				}
			}
		});

		await step('a connection crosses the links of its two ends and no other', async () => {
			await startGreeter(context, two);
			for (const family of lab.families) {
				const flow = await greetedFlow(context, one, two, family);
				const crossed = [...new Set(flow.crossings.map(({machine}) => machine))].sort();
				claim(crossed.join() === 'host-1,host-2', `it crossed the links of ${crossed.join(', ')}`, describeFlow(flow));
			}
		});

		await step('control: an address that nobody has does not answer', async () => {
			for (const {families, subnets} of lab.networks) {
				for (const family of families) {
					await claimNotReached(one, addressAt(subnets[family] ?? '', 99));
				}
			}
		});

		await step('control: an address beyond the network is unreachable, since there is no router', async () => {
			for (const address of ['198.51.100.1', '2001:db8::1']) {
				const {stdout, stderr} = await one.fail$`ping -n -c 1 -W 5 ${address}`;
				claim(/Network is unreachable/.test(stdout + stderr), `${one.name} does not say that ${address} is unreachable`, [stdout, stderr]);
			}
		});

		await step('control: while the link of host-3 is cut nobody reaches it, and the others reach each other', async () => {
			await fabric.cut('host-3@lan');
			for (const family of lab.families) {
				await claimNotReached(one, addressOf(three.machine, family));
				await claimNotReached(three, addressOf(two.machine, family));
				await claimPath(lab, one, two, family, []);
			}
		});

		await step('host-3 is reached again when its link is whole', async () => {
			for (const family of lab.families) {
				await claimPath(lab, one, three, family, []);
				await claimPath(lab, three, two, family, []);
			}
		});
	},
	mutation: cutLink({
		summary: 'the link of host-2 is cut',
		link: 'host-2@lan', red: reached, from: 'host-1', to: 'host-2', hop: 1, behind: 'host-2', ahead: 'host-1',
	}),
});
