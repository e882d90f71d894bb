/** Who asks: a node, or a pod. What programs of the node do in a pod's network is what a pod's own program would do there. */
import {claim, type CommandResult, type MachineHandle, type StepContext} from 'vmlab';
import {addressIn, addressOf} from './address.ts';
import {type Pod} from './test-server.ts';

/** Somebody who runs programs in a network of their own, and asks the cluster's DNS for names. */
export interface Caller {
	/** For the report: 'node-1', 'pod a on node-1'. */
	readonly title: string;
	readonly address: string;
	/** Runs a program, given as words; never rejects because of its exit code. */
	run(...words: readonly string[]): Promise<CommandResult>;
}

/** How programs are run in a machine's own network. */
export function onMachine(machine: MachineHandle): Pick<Caller, 'run'> {
	return {run: async (...words) => machine.try$`${words}`};
}

/** A node as a caller, by its IPv6 address. */
export function nodeCaller(node: MachineHandle): Caller {
	return {title: node.name, address: addressOf(node.machine, 'ipv6'), ...onMachine(node)};
}

/** A pod as a caller, by its address of the cluster's first family: programs of its node, in its network (namespaces(7)). The node's resolv.conf names the cluster's DNS, as the pod's does. */
export async function podCaller({node, lab: {families: [family = 'ipv6']}}: StepContext, pod: Pod): Promise<Caller> {
	const {stdout} = await node(pod.node).$`
		for pid in $(grep -lx agnhost /proc/[0-9]*/comm 2>/dev/null | cut -d / -f 3); do
			[ "$(nsenter --target $pid --uts uname -n)" != ${pod.name} ] || { echo $pid; exit; }
		done`;
	claim(/^\d+$/.test(stdout), `no process of pod ${pod.name} is on ${pod.node}`);
	return {title: `pod ${pod.name} on ${pod.node}`, address: addressIn(family, pod.addresses, pod.name), run: async (...words) => node(pod.node).try$`nsenter --target ${stdout} --net ${words}`};
}

/** Has all callers do something at once, and claims that none has a problem: `look` gives a sentence, or nothing. */
export async function noneHasProblem(callers: readonly Caller[], what: string, look: (caller: Caller) => Promise<string | undefined>): Promise<void> {
	const found = await Promise.all(callers.map(async (caller) => {
		const problem = await look(caller);
		return problem === undefined ? [] : [`${caller.title}: ${problem}`];
	}));
	const problems = found.flat();
	claim(problems.length === 0, `${what} failed for ${problems.length} of ${callers.length}: ${problems[0]}`, problems.slice(1));
}
