import {defineScenario} from 'vmlab';
import {nat64Lab} from './labs/nat64.ts';
import {bothFamilies, nat64Story, translateAll} from './steps/nat64.ts';

export default defineScenario({
	summary: 'An IPv6-only cluster reaches an IPv4-only server beyond the router: NAT64 by tayga or jool, DNS64 by CoreDNS or unbound',
	lab: nat64Lab,
	variants: {
		jool: {nat64: {translator: 'jool'}},
		unbound: {nat64: {dns64: 'unbound'}},
		'jool-unbound': {nat64: {translator: 'jool', dns64: 'unbound'}},
	},
	budget: '10m',
	steps: nat64Story,
	mutation: {
		summary: 'DNS64 makes IPv6 addresses for names too that have some of their own',
		red: bothFamilies,
		because: /both\.lab\.test failed for .*: it is `fd00:64::c0a8:2e7`, not `1000::1:c0a8:1c9`/,
		apply: translateAll,
	},
});
