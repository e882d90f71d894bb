import {addressAt, claim, defineScenario, describeFlow, type Family, type MachineHandle, passesThrough} from 'vmlab';
import {stickLab} from './labs/routing.ts';
import {addressOf} from './steps/address.ts';
import {greetedFlow, startGreeter} from './steps/greeter.ts';
import {claimNotReached, claimPath, claimReached, cutLink} from './steps/hops.ts';

const across = 'hosts of different VLANs reach each other over the router';

export default defineScenario({
	summary: 'Two VLANs and a router that is on both by one link, a trunk (router on a stick), in both families',
	lab: stickLab,
	budget: '2m',
	async steps(context) {
		const {lab, machine, step, eventually, fabric} = context;
		const [one, two, other, router] = [machine('host-1'), machine('host-2'), machine('host-3'), machine('router-1')] as const;

		await step('hosts of one VLAN reach each other without passing the router', async () => {
			for (const family of lab.families) {
				await claimPath(lab, one, two, family, []);
				await claimPath(lab, two, one, family, []);
			}
		});

		await step(across, async () => {
			for (const family of lab.families) {
				await claimPath(lab, one, other, family, ['router-1']);
				await claimPath(lab, other, two, family, ['router-1']);
			}
		});

		await step('a connection goes up the trunk and down again', async () => {
			await startGreeter(context, other);
			for (const family of lab.families) {
				const flow = await greetedFlow(context, one, other, family);
				const links = [...new Set(flow.crossings.filter(({machine: name}) => name === 'router-1').map(({link}) => link))];
				claim(links.join() === 'router-1@trunk' && passesThrough(flow, 'router-1'), `it crossed ${links.join(', ') || 'no link of the router'}`, describeFlow(flow));
			}
		});

		await step('on the trunk a packet comes with the tag of the one VLAN and goes with that of the other', async () => {
			const said = '/run/tcpdump.said';
			const [listening] = await Promise.all([
				router.$`timeout 60 tcpdump -l -nne -i eth1 -c 2 'vlan and icmp[icmptype] == icmp-echo' 2>${said}`,
				eventually('tcpdump listens on the trunk', async () => router.$`grep -q 'listening on' ${said}`, {deadline: '20s'})
					.then(async () => one.$`ping -n -c 4 -i 0.5 ${addressOf(other.machine, 'ipv4')}`),
			]);
			const tags = listening.stdout.split('\n').map((line) => /\bvlan (\d+),/.exec(line)?.[1]).join(' ');
			claim(tags === '10 20', `the tags of a request are \`${tags}\``, listening.stdout.split('\n'));
		});

		/** Runs `use` while a machine has one address more in the first VLAN. */
		const withAddress = async ({$}: MachineHandle, family: Family, use: (address: string) => Promise<void>): Promise<void> => {
			const subnet = lab.networks.find(({name}) => name === 'blue')?.subnets[family] ?? '';
			const address = addressAt(subnet, 99);
			const words = [`${address}/${subnet.split('/')[1]}`, 'dev', 'eth1', ...(family === 'ipv6' ? ['nodad'] : [])];
			await $`ip address add ${words}`;
			try {
				await use(address);
			} finally {
				await $`ip address del ${words.slice(0, 3)}`;
			}
		};

		await step('control: an address of the one VLAN is not found on a host of the other, and is on a host of its own', async () => {
			for (const family of lab.families) {
				await withAddress(other, family, async (address) => claimNotReached(one, address));
				await withAddress(two, family, async (address) => claimReached(one, address, 1));
			}
		});

		await step('control: while the trunk is cut each VLAN goes on for itself', async () => {
			await fabric.cut('router-1@trunk');
			for (const family of lab.families) {
				await claimPath(lab, one, two, family, []);
				await claimNotReached(one, addressOf(other.machine, family));
			}
		});

		await step('while one VLAN of the trunk is cut, the router reaches the hosts of the other alone', async () => {
			await fabric.cut('router-1@trunk', {match: {vlan: 10}});
			for (const family of lab.families) {
				await claimNotReached(router, addressOf(one.machine, family));
				await claimReached(router, addressOf(other.machine, family), 1);
			}
		});

		await step('they reach each other again when it is whole', async () => {
			for (const family of lab.families) {
				await claimPath(lab, one, other, family, ['router-1']);
			}
		});
	},
	mutation: cutLink({
		summary: 'the trunk is cut, the only path between the VLANs',
		link: 'router-1@trunk', red: across, from: 'host-1', to: 'host-3', hop: 1, behind: 'router-1', ahead: 'host-1',
	}),
});
