import {defineOverlay} from 'vmlab';
import {shortestRoutes} from './paths.ts';

export default defineOverlay({
	summary: 'Static routes between all networks of a lab with several routers, over the shortest paths',
	needs: ['base'],
	options: {
		routers: {
			default: 'router', summary: 'The roles of the machines that pass packets on, separated by spaces',
			pattern: {matches: '[a-z][a-z\\d-]*( +[a-z][a-z\\d-]*)*', wanted: 'roles of the lab separated by spaces, such as left right'},
		},
	},
	routes({lab, machine, options}) {
		const roles = options.routers.split(/ +/);
		// Where a routing daemon runs on the routers, they learn their routes from each other.
		return roles.includes(machine.role) && lab.providers['routing'] !== undefined
			? []
			: shortestRoutes(machine, lab, lab.machines.filter(({role}) => roles.includes(role)));
	},
	kernel({machine, options}) {
		const families = new Set(machine.links.flatMap(({addresses}) => addresses.map(({family}) => family)));
		return options.routers.split(/ +/).includes(machine.role)
			? {
				sysctls: {
					...(families.has('ipv4') && {'net.ipv4.ip_forward': 1, 'net.ipv4.fib_multipath_hash_policy': 1}),
					...(families.has('ipv6') && {'net.ipv6.conf.all.forwarding': 1, 'net.ipv6.fib_multipath_hash_policy': 1}),
				},
			}
			: {};
	},
});
