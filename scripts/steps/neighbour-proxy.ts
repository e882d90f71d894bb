/** Pods that their router takes for neighbours: the prefix is on-link, and the node answers for them (neighbour discovery proxy). */
import {claim, type StepContext} from 'vmlab';
import {addressIn} from './address.ts';
import {nothingAnswers, podAnswers, urlOf} from './services.ts';
import {serverPort, type Pod} from './test-server.ts';

/** Runs `use` while the router has a pod's subnet on its own link instead of routing it to the node. */
export async function withPodsOnLink<Value>({router, lab}: StepContext, pod: Pod, use: () => Promise<Value>): Promise<Value> {
	const node = lab.machines.find(({name}) => name === pod.node);
	const {$, machine} = router('router-1');
	const subnet = node?.pods.ipv6 ?? '';
	const device = machine.links.find(({network}) => network === node?.links[0]?.network)?.device ?? '';
	const via = addressIn('ipv6', node?.address ?? {}, pod.node);
	await $`ip -6 route replace ${subnet} dev ${device}; ip -6 neighbour flush dev ${device}`;
	try {
		return await use();
	} finally {
		await $`ip -6 route replace ${subnet} via ${via}; ip -6 neighbour flush dev ${device}`;
	}
}

/** Where a pod's server is. */
function urlOfPod({addresses, name}: Pod): string {
	return urlOf(addressIn('ipv6', addresses, name), serverPort);
}

/** Claims that the tester reaches a pod over the router. */
export async function podAnswersFromOutside({tester}: StepContext, pod: Pod): Promise<void> {
	await podAnswers(tester('tester-1'), urlOfPod(pod), [pod]);
}

/** What the router knows of a pod as its neighbour, as ip-neighbour(8) shows it. */
async function neighbourOf({router}: StepContext, pod: Pod): Promise<string> {
	const {stdout} = await router('router-1').$`ip -6 neighbour show to ${addressIn('ipv6', pod.addresses, pod.name)}`;
	return stdout;
}

/** Claims that nobody answers the tester for a pod, and that the router has asked for the pod's link-layer address in vain. */
export async function podIsSilentOutside(context: StepContext, pod: Pod): Promise<void> {
	await nothingAnswers(context.tester('tester-1'), urlOfPod(pod));
	const found = await neighbourOf(context, pod);
	claim(/FAILED|INCOMPLETE/.test(found), `the router's neighbour for ${pod.name} is \`${found}\`, and should not be known`);
}

/** Claims that the router has a node's link-layer address for a pod: it asked, and the node answered. */
export async function routerHasNeighbour(context: StepContext, pod: Pod): Promise<void> {
	const mac = context.lab.machines.find(({name}) => name === pod.node)?.links[0]?.mac ?? '';
	const found = await neighbourOf(context, pod);
	claim(found.includes(mac), `the router's neighbour for ${pod.name} is \`${found}\`, not ${mac} of ${pod.node}`);
}
