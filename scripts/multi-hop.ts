import {claim, defineScenario, describeFlow, passesThrough} from 'vmlab';
import {multiHopLab, narrow} from './labs/routing.ts';
import {addressOf} from './steps/address.ts';
import {greetedFlow, startGreeter} from './steps/greeter.ts';
import {claimNotReached, claimPath, claimReached, cutLink} from './steps/hops.ts';
import {claimPathMtu, claimTooBig, claimWhole, forgetPaths, sendCounted, startCounter, withoutTooBig} from './steps/packet-size.ts';

/** Bytes that a connection sends. */
const sent = 100_000;

const way = ['router-1', 'router-2', 'router-3'];
const there = 'packets of the tester pass the three routers in their order, and those of the server come the same way back';

export default defineScenario({
	summary: 'A server behind three routers in a row: static routes, hop counts and the path\'s MTU, in both families',
	lab: multiHopLab,
	budget: '2m',
	async steps(context) {
		const {lab, machine, step, refuted, fabric} = context;
		const [tester, server, middle] = [machine('tester-1'), machine('server-1'), machine('router-2')] as const;

		await step(there, async () => {
			for (const family of lab.families) {
				await claimPath(lab, tester, server, family, way);
				await claimPath(lab, server, tester, family, way.toReversed());
			}
		});

		await refuted('control: with a hop less than it takes the server is not reached', async () => claimReached(tester, addressOf(server.machine, 'ipv4'), way.length));
		await refuted('control: nor in IPv6', async () => claimReached(tester, addressOf(server.machine, 'ipv6'), way.length));

		await step('a connection passes each router in both directions', async () => {
			await startGreeter(context, server);
			for (const family of lab.families) {
				const flow = await greetedFlow(context, tester, server, family);
				const missed = way.filter((router) => !passesThrough(flow, router) || !passesThrough(flow, router, 'back'));
				claim(missed.length === 0, `it does not pass ${missed.join(', ')}`, describeFlow(flow));
			}
		});

		await step(`a packet of ${narrow} bytes arrives whole, and of a larger one router-2 says what would fit`, async () => {
			await forgetPaths(tester);
			for (const family of lab.families) {
				const address = addressOf(server.machine, family);
				await claimWhole(tester, address, family, narrow);
				await claimTooBig(lab, tester, address, family, narrow + 1, {by: middle.name, fitting: narrow});
				await claimPathMtu(tester, address, narrow);
			}
		});

		await step('control: on the wide side of it a packet of 1500 bytes arrives whole', async () => {
			for (const family of lab.families) {
				// router-2 by its address on the network that is still wide.
				await claimWhole(tester, addressOf(middle.machine, family), family, 1500);
			}
		});

		await step('TCP adapts to what router-2 says, and all that it sends arrives', async () => {
			await startCounter(server);
			for (const family of lab.families) {
				await forgetPaths(tester);
				const counted = await sendCounted(tester, addressOf(server.machine, family), sent);
				claim(counted === sent, `${counted ?? 'nobody knows how many'} of ${sent} bytes arrive (${family})`);
				await claimPathMtu(tester, addressOf(server.machine, family), narrow);
			}
		});

		await step('control: while router-2 says nothing of it, a connection hangs with the first packet that is too big', async () => {
			await withoutTooBig(middle, lab.families, async () => {
				for (const family of lab.families) {
					await forgetPaths(tester);
					const counted = await sendCounted(tester, addressOf(server.machine, family), sent);
					claim(counted === undefined, `${counted} of ${sent} bytes arrive (${family})`);
				}
			});
		});

		await step('control: while router-2 forwards nothing, what is before it answers and what is behind it does not', async () => {
			await middle.$`sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0`;
			try {
				for (const family of lab.families) {
					await claimReached(tester, addressOf(middle.machine, family));
					await claimNotReached(tester, addressOf(server.machine, family));
				}
			} finally {
				await middle.$`sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1`;
			}
		});

		await step('control: while the link between router-2 and router-3 is cut, it is the same', async () => {
			await fabric.cut('router-3@second');
			for (const family of lab.families) {
				await claimReached(tester, addressOf(middle.machine, family));
				await claimNotReached(tester, addressOf(server.machine, family));
			}
		});

		await step('the server is reached again when all of that is over', async () => {
			for (const family of lab.families) {
				await claimPath(lab, tester, server, family, way);
			}
		});
	},
	mutation: cutLink({
		summary: 'the link between router-2 and router-3 is cut, on the only path',
		link: 'router-3@second', red: there, from: 'tester-1', to: 'server-1', hop: 3, behind: 'router-3', ahead: 'router-2',
	}),
});
