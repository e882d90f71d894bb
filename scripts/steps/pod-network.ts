/** Pods reach each other. */
import {type Family, type StepContext} from 'vmlab';
import {claimAnswered, dialAll} from './dial.ts';
import {addressIn, serverPort, type Pod} from './test-server.ts';

/** Claims that each pod reaches each other one by its address, and that it is the other one that answers. A failure names the pairs. */
export async function podsReachEachOther(context: StepContext, families: readonly Family[], pods: readonly Pod[]): Promise<void> {
	for (const family of families) {
		const dialled = await dialAll(context, family, pods.flatMap((from) => pods
			.filter((to) => to.name !== from.name)
			.map((to) => ({from, host: addressIn(family, to.addresses, to.name), port: serverPort, to: `pod ${to.name} on ${to.node}`, target: to.name}))));
		claimAnswered(`pairs of pods (${family})`, dialled, (dial) => ['target' in dial ? String(dial.target) : '']);
	}
}

/** Runs `use` while a node forwards nothing, and lets it forward again whatever happens. */
export async function withoutForwarding<Value>({node}: StepContext, name: string, families: readonly Family[], use: () => Promise<Value>): Promise<Value> {
	const programs = families.map((family) => (family === 'ipv4' ? 'iptables' : 'ip6tables'));
	await node(name).$`for program in ${programs}; do $program -P FORWARD DROP; done`;
	try {
		return await use();
	} finally {
		await node(name).$`for program in ${programs}; do $program -P FORWARD ACCEPT; done`;
	}
}
