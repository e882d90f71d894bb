import {defineScenario} from 'vmlab';
import {nat64Lab} from './labs/nat64.ts';
import {answeredElsewhere, dnsLoop} from './steps/dns-loop.ts';

export default defineScenario({
	summary: 'A cluster\'s DNS that asks itself, since its nodes have a resolver at ::1: how that shows, and two cures',
	lab: nat64Lab,
	budget: '10m',
	mutation: answeredElsewhere,
	steps: dnsLoop,
});
