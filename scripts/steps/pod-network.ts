/** Pods reach each other. */
import {claim, type Family, type StepContext} from 'vmlab';
import {addressIn} from './address.ts';
import {claimAnswered, dialAll, titleOf, type Dialled} from './dial.ts';
import {serverPort, type Pod} from './test-server.ts';

/** Which pairs of pods are meant. */
export type Pairs = (from: Pod, to: Pod) => boolean;

/** Pairs whose pods are on different nodes. */
export const acrossNodes: Pairs = (from, to) => from.node !== to.node;
/** Pairs of one node. */
export const onOneNode: Pairs = (from, to) => from.node === to.node;

/** Each pod's request to each other one by its address, of the pairs that are meant, with what came of it. */
async function dialPods(context: StepContext, family: Family, pods: readonly Pod[], pairs: Pairs): Promise<Dialled[]> {
	return dialAll(context, family, pods.flatMap((from) => pods
		.filter((to) => to.name !== from.name && pairs(from, to))
		.map((to) => ({from, host: addressIn(family, to.addresses, to.name), port: serverPort, to: `pod ${to.name} on ${to.node}`, target: to.name}))));
}

/** Claims that each pod reaches each other one by its address, and that it is the other one that answers. A failure names the pairs. */
export async function podsReachEachOther(context: StepContext, families: readonly Family[], pods: readonly Pod[], pairs: Pairs = () => true): Promise<void> {
	for (const family of families) {
		claimAnswered(`pairs of pods (${family})`, await dialPods(context, family, pods, pairs), (dial) => ['target' in dial ? String(dial.target) : '']);
	}
}

/** Claims that no pod gets an answer from any other one. A failure names the pairs that talk. */
export async function podsDoNotReachEachOther(context: StepContext, family: Family, pods: readonly Pod[], pairs: Pairs): Promise<void> {
	const dialled = await dialPods(context, family, pods, pairs);
	const talking = dialled.filter(({answer}) => answer !== undefined);
	claim(dialled.length > 0, 'there is no such pair of pods');
	claim(talking.length === 0, `${talking.length} of ${dialled.length} pairs of pods talk (${family})`, talking.map((dial) => titleOf(dial)));
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
