/** A server that tells its machine's name to everybody who connects, and connections to it. */
import {claim, describeFlow, type Family, type Flow, type MachineHandle, type StepContext} from 'vmlab';
import {addressOf} from './address.ts';

/** Where it listens. */
export const greeterPort = 8000;

/** Seconds. */
const patience = 60;

/** Starts it on a machine, in all families that the machine has, and waits until it listens. */
export async function startGreeter({eventually}: StepContext, {$, name}: MachineHandle): Promise<void> {
	await $`systemd-run --quiet --unit=greeter socat -U TCP6-LISTEN:${greeterPort},ipv6only=0,reuseaddr,fork,backlog=256 OPEN:/etc/hostname,rdonly`;
	await eventually(`${name} listens on port ${greeterPort}`, async () => $`ss -Hltn sport = :${greeterPort} | grep -q .`);
}

/**
 * Makes connections from a machine, one after the other, each from a port of its own, and claims that each was answered by the machine that was meant.
 *
 * @param address of `to`
 */
export async function claimGreeted(from: MachineHandle, to: MachineHandle, address: string, count = 1): Promise<void> {
	// bash opens them itself: a program for each would be most of what this costs.
	const script = `for ((i = 0; i < ${count}; i++)); do exec 3<>/dev/tcp/${address}/${greeterPort} || exit; read -r name <&3; echo "$name"; exec 3>&-; done`;
	const {stdout, stderr, exitCode} = await from.try$`timeout ${patience} bash -c ${script}`;
	const answers = stdout.split('\n').filter((line) => line !== '');
	const stranger = answers.find((answer) => answer !== to.name);
	claim(stranger === undefined, `${address} is ${stranger}, not ${to.name}`);
	const problem = exitCode === 124 ? `nothing came within ${patience} s` : /connect: (.*)/.exec(stderr)?.[1] ?? stderr.split('\n')[0];
	claim(answers.length === count, `${answers.length} of ${count} connections from ${from.name} to ${to.name} (${address}) were answered, then: ${problem}`);
}

/** Makes one connection, claims that it was answered, and gives what the fabric saw of it. */
export async function greetedFlow({fabric}: StepContext, from: MachineHandle, to: MachineHandle, family: Family): Promise<Flow> {
	const since = Date.now();
	await claimGreeted(from, to, addressOf(to.machine, family));
	const flow = await fabric.flow({protocol: 'tcp', family, destinationPort: greeterPort}, {since});
	claim(flow.isAnswered, `the fabric saw no answer to a connection from ${from.name} to ${to.name} (${family})`, describeFlow(flow));
	return flow;
}
