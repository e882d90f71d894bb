import {claim, defineScenario, describeFlow} from 'vmlab';
import {jumboLab, usual, wide} from './labs/routing.ts';
import {addressOf} from './steps/address.ts';
import {claimPath, cutLink} from './steps/hops.ts';
import {claimPathMtu, claimTooBig, claimTooLong, claimWhole, counterPort, forgetPaths, sendCounted, startCounter} from './steps/packet-size.ts';

const reached = 'hosts of the jumbo network reach each other directly, and the server over the router';
/** Bytes that a connection sends. */
const sent = 500_000;
/** Bytes of an Ethernet header. */
const header = 14;

export default defineScenario({
	summary: 'Jumbo frames on one side of a router and usual ones on the other: what fits, who says what does not, and how TCP adapts, in both families',
	lab: jumboLab,
	budget: '2m',
	async steps(context) {
		const {lab, machine, step, fabric} = context;
		const [one, two, server] = [machine('host-1'), machine('host-2'), machine('server-1')] as const;

		await step(reached, async () => {
			for (const family of lab.families) {
				await claimPath(lab, one, two, family, []);
				await claimPath(lab, one, server, family, ['router-1']);
				await claimPath(lab, server, one, family, ['router-1']);
			}
		});

		await step(`a packet of ${wide} bytes arrives whole within the jumbo network`, async () => {
			for (const family of lab.families) {
				await claimWhole(one, addressOf(two.machine, family), family, wide);
				await claimWhole(two, addressOf(one.machine, family), family, wide);
			}
		});

		await step('control: a packet with one byte more does not leave the host', async () => {
			for (const family of lab.families) {
				await claimTooLong(one, addressOf(two.machine, family), family, wide + 1, wide);
			}
		});

		await step(`of one for the server the router says that ${usual} would fit, and the host remembers`, async () => {
			await forgetPaths(one);
			for (const family of lab.families) {
				const address = addressOf(server.machine, family);
				await claimTooBig(lab, one, address, family, wide, {by: 'router-1', fitting: usual});
				await claimPathMtu(one, address, usual);
				await claimWhole(one, address, family, usual);
			}
		});

		await step('control: the server itself cannot send more, and what it sends arrives', async () => {
			for (const family of lab.families) {
				const address = addressOf(one.machine, family);
				await claimTooLong(server, address, family, usual + 1, usual);
				await claimWhole(server, address, family, usual);
			}
		});

		/** Bytes of the longest frames that a connection can have had, by the mean of those that carried something. */
		const meanFrame = async (to: typeof two, family: (typeof lab.families)[number]): Promise<number> => {
			const since = Date.now();
			const counted = await sendCounted(one, addressOf(to.machine, family), sent);
			claim(counted === sent, `${counted ?? 'nobody knows how many'} of ${sent} bytes arrive at ${to.name} (${family})`);
			const flow = await fabric.flow({protocol: 'tcp', family, destinationPort: counterPort}, {since});
			const crossing = flow.crossings.find(({way, machine: name}) => way === 'there' && name === 'host-1');
			claim(crossing !== undefined && crossing.frames > 0, 'the connection did not cross the link of host-1', describeFlow(flow));
			return crossing.bytes / crossing.frames;
		};

		await step('TCP fills jumbo frames within their network', async () => {
			await startCounter(two);
			for (const family of lab.families) {
				const mean = await meanFrame(two, family);
				claim(mean > usual + header, `${family}: its frames have ${mean.toFixed(0)} bytes in the mean, which usual ones could have too`);
			}
		});

		await step('TCP to the server adapts, and arrives whole in usual frames', async () => {
			await startCounter(server);
			for (const family of lab.families) {
				const mean = await meanFrame(server, family);
				claim(mean <= usual + header, `${family}: its frames have ${mean.toFixed(0)} bytes in the mean, more than the server's network takes`);
			}
		});
	},
	mutation: cutLink({
		summary: 'the link of router-1 to the jumbo network is cut, on the only path to the server',
		link: 'router-1@jumbo', red: reached, from: 'host-1', to: 'server-1', hop: 1, behind: 'router-1', ahead: 'host-1',
	}),
});
