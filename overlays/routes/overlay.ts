import {defineOverlay} from 'vmlab';
import {shortestRoutes} from './paths.ts';

export default defineOverlay({
	summary: 'Static routes between all networks of a lab with several routers, over the shortest paths',
	needs: ['base'],
	routes({lab, machine}) {
		// Where a routing daemon runs on the routers, they learn their routes from each other.
		return machine.role === 'router' && lab.providers['routing'] !== undefined ? [] : shortestRoutes(machine, lab);
	},
});
