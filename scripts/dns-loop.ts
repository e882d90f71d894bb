import {defineScenario} from 'vmlab';
import {nat64Lab} from './labs/nat64.ts';
import {asksItself, dnsLoop} from './steps/dns-loop.ts';
import {addressIn} from './steps/test-server.ts';

export default defineScenario({
	summary: 'A cluster\'s DNS that asks itself, since its nodes have a resolver at ::1: how that shows, and two cures',
	lab: nat64Lab,
	budget: '10m',
	steps: dnsLoop,
	mutation: {
		summary: 'the nodes name the router\'s resolver, and not one at ::1',
		red: asksItself,
		because: /restarted 0 times/,
		before: asksItself,
		async apply({machines, router}) {
			const {machine} = router('router-1');
			await Promise.all(machines('node').map(async (node) => node.writeFile('/etc/resolv.conf', `nameserver ${addressIn('ipv6', machine.address, machine.name)}\n`)));
		},
	},
});
