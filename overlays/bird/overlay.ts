import {defineOverlay} from 'vmlab';
import {configuration, expectations} from './configuration.ts';

const link = '[a-z][a-z\\d-]*@[\\w.-]+ +[1-9]\\d{0,4}';

export default defineOverlay({
	summary: 'OSPF by bird between the routers of a lab, in both families, with BFD where it is wanted',
	provides: ['routing'],
	needs: ['base', 'routes'],
	roles: ['router'],
	options: {
		hello: {default: 1, minimum: 1, maximum: 3600, whole: true, summary: 'Seconds between the words by which routers know that their neighbours live'},
		dead: {default: 5, minimum: 2, maximum: 36_000, whole: true, summary: 'Seconds without such a word after which a neighbour counts as dead; more than `hello`'},
		bfd: {default: false, summary: 'Notice a dead neighbour after 1.2 s, by BFD (RFC 5880), whatever `dead` says'},
		costs: {
			default: '', summary: 'What links cost the routers that they are of, separated by commas: MACHINE@NETWORK COST; others cost 10',
			pattern: {matches: `(${link}( *, *${link})*)?`, wanted: 'links and their costs separated by commas, such as `router-1@north 20, router-2@north 20`'},
		},
	},
	packages: ['bird2'],
	files: ({lab, machine, options}) => [
		{path: '/etc/bird/bird.conf', text: configuration(machine, lab, options)},
		{path: '/etc/vmlab/bird-ready', text: expectations(machine, lab)},
	],
	units: () => ['bird.service'],
	ready: ({machine}) => [
		{sentence: `bird runs on ${machine.name}`, deadline: '20s', unit: 'bird.service'},
		{sentence: `bird on ${machine.name} has its neighbours, and the kernel its routes`, deadline: '60s', command: '/usr/lib/vmlab/bird-is-ready'},
	],
	evidence: () => [
		{
			name: 'bird.txt',
			command: 'birdc show protocols all; for protocol in ospf4 ospf6; do birdc show ospf neighbors $protocol; birdc show ospf interface $protocol; birdc show ospf state all $protocol; done; '
				+ 'birdc show bfd sessions; birdc show route all; journalctl --no-pager -u bird.service; cat /etc/bird/bird.conf',
		},
	],
});
