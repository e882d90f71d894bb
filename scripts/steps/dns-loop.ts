/** The story of a cluster's DNS that asks itself: each node has a resolver at ::1, and CoreDNS is told to ask whom the node asks. */
import {addressAt, claim, type MachineHandle, type MutationDeclaration, type StepContext} from 'vmlab';
import {addressIn} from './address.ts';
import {nodeCaller, noneHasProblem} from './caller.ts';
import {readCorefile, writeCorefile} from './corefile.ts';
import {addressesOf} from './lookup.ts';

/** What the kubelet gives to pods that want the node's own resolver, CoreDNS among them: of this lab, and by default. */
const kubeletFile = '/etc/kubernetes/resolv.conf';
const nodeFile = '/etc/resolv.conf';

/** The title of the step that sees what the loop does to the cluster. */
const noDns = 'it waits longer each time (CrashLoopBackOff), and the cluster has no DNS';

/** Has somebody else answer in place of a DNS that is down: that it is down is no claim then. */
export const answeredElsewhere: MutationDeclaration = {
	summary: 'node-1 has what it asks the cluster\'s DNS answered by the router\'s resolver',
	red: noDns,
	because: /failed for 1 of 2: node-1: dig ended with exit code 0: /,
	before: noDns,
	async apply(context) {
		const router = addressIn('ipv6', context.router('router-1').machine.address, 'router-1');
		// Before kube-proxy's own chains, which refuse what has no endpoint.
		await context.node('node-1').$`nft ${`
			table ip6 answered-elsewhere {
				chain output {
					type nat hook output priority -150;
					ip6 daddr ${serviceAddress(context)} udp dport 53 dnat to ${router}
				}
			}`}`;
	},
};

interface CorednsPod {
	readonly name: string;
	readonly ready: boolean;
	readonly restarts: number;
	/** Of a container that waits: 'CrashLoopBackOff'. */
	readonly waiting: string;
}

/** All steps; the lab is that of the scenario `nat64`. */
export async function dnsLoop(context: StepContext): Promise<void> {
	const {lab, step, eventually, machines, note} = context;
	const nodes = machines('node');
	const router = addressIn('ipv6', context.router('router-1').machine.address, 'router-1');
	const {zone} = lab.options['nsd'] as {zone: string};
	const known = `six.${zone}`;
	const callers = nodes.map(nodeCaller);
	const before = await readCorefile(context);
	const asking = (server: string): string => before.replace(/^( *)forward \. .*$/m, `$1loop\n$1forward . ${server}`);
	/** DNS answers who asks the Service, with the address that the name server has. */
	const clusterAnswers = async (): Promise<void> => {
		await eventually('the cluster\'s DNS answers for a name of another zone', async () => {
			await noneHasProblem(callers, known, async (caller) => {
				const {stdout, exitCode} = await caller.run('dig', '+short', '+tries=1', '+time=5', 'AAAA', known, `@${serviceAddress(context)}`);
				return exitCode === 0 && stdout === router ? undefined : `the Service says \`${stdout}\``;
			});
		}, {deadline: '60s'});
	};

	await step('the cluster\'s DNS answers for names of its own and of another zone', clusterAnswers);

	await step('each node gets a resolver at ::1, which answers', async () => {
		for (const node of nodes) {
			await node.$`systemctl start vmlab-unbound.service`;
			await node.writeFile(nodeFile, 'nameserver ::1\n');
		}

		await eventually('it has started', async () => {
			await noneHasProblem(callers, known, async (caller) => {
				const found = await addressesOf(caller, 'AAAA', known);
				return found === router ? undefined : `the node's resolver says \`${found}\``;
			});
		});
	});

	await step('kubelets take pods\' resolvers from the node, as they do unless they are told otherwise', async () => {
		await kubeletsGive(nodes, nodeFile);
	});

	const log = await step('CoreDNS, told to ask whom its node asks, asks itself, and ends with a word about that', async () => {
		await startAgain(context, asking(nodeFile));
		const pod = await eventually('CoreDNS has ended, and is started again and again', async () => {
			const [found] = await readPods(context);
			claim(found !== undefined, 'it has no pod');
			claim(found.restarts >= 2 && !found.ready, `its pod was restarted ${found.restarts} times, and is ${found.ready ? '' : 'not '}ready`);
			return found;
		}, {deadline: '120s'});
		// Of the container that ended, or of the one that runs and has not noticed yet.
		const {stdout} = await context.cluster.kubectl`-n kube-system logs ${pod.name} --previous`;
		claim(/Loop \(\[::1\]:\d+ -> :53\) detected for zone "\."/.test(stdout), 'its log does not say that it asks itself', stdout.split('\n').slice(-5));
		return stdout.split('\n').find((line) => line.includes('Loop (')) ?? '';
	});
	note(log);

	await step(noDns, async () => {
		await eventually('its container waits', async () => {
			const [found] = await readPods(context);
			claim(found?.waiting === 'CrashLoopBackOff', `its container is \`${found?.waiting}\``);
		}, {deadline: '60s'});
		await noneHasProblem(callers, known, async (caller) => {
			const {exitCode, stdout} = await caller.run('dig', '+short', '+tries=1', '+time=5', 'AAAA', known, `@${serviceAddress(context)}`);
			return exitCode === 9 ? undefined : `dig ended with exit code ${exitCode}: ${stdout}`;
		});
	});

	await step('cure: CoreDNS asks the router\'s resolver by its address', async () => {
		await startAgain(context, asking(router));
		await runsWithoutRestart(context);
		await clusterAnswers();
	});

	await step('without the cure it asks itself again', async () => {
		await startAgain(context, asking(nodeFile));
		await eventually('CoreDNS ends', async () => {
			const [found] = await readPods(context);
			claim(found !== undefined && found.restarts >= 1, `its pod was restarted ${found?.restarts ?? 'never'} times`);
		}, {deadline: '120s'});
	});

	await step('cure: kubelets give pods a file that names the router\'s resolver, and CoreDNS may go on asking whom it is given', async () => {
		for (const node of nodes) {
			await node.writeFile(kubeletFile, `nameserver ${router}\n`);
		}

		await kubeletsGive(nodes, kubeletFile);
		await startAgain(context, asking(nodeFile));
		await runsWithoutRestart(context);
		await clusterAnswers();
	});
}

/** The address of the cluster's DNS that nodes have from the overlay `coredns`; their own file names another one by now. */
function serviceAddress({lab}: StepContext): string {
	const {ipv6} = lab.services;
	claim(ipv6 !== undefined, 'the lab has no IPv6 Services');
	return addressAt(ipv6, 10);
}

/** Has kubelets give pods this file of the node as resolv.conf(5). */
async function kubeletsGive(nodes: readonly MachineHandle[], file: string): Promise<void> {
	await Promise.all(nodes.map(async (node) => {
		const path = '/etc/kubernetes/kubelet.yaml';
		const configuration = JSON.parse(await node.readFile(path)) as Record<string, unknown>;
		claim(typeof configuration['resolvConf'] === 'string', `${path} on ${node.name} names no file`);
		await node.writeFile(path, `${JSON.stringify({...configuration, resolvConf: file}, undefined, 2)}\n`);
		await node.$`systemctl restart kubelet.service`;
	}));
}

/** The pods of CoreDNS that are not about to end. */
async function readPods({cluster}: StepContext): Promise<CorednsPod[]> {
	const {items} = await cluster.get<{items: any[]}>('pods', '-n', 'kube-system', '-l', 'k8s-app=kube-dns');
	return items.filter(({metadata}) => metadata.deletionTimestamp === undefined).map(({metadata, status}): CorednsPod => {
		const [container] = status.containerStatuses ?? [];
		return {name: metadata.name, ready: container?.ready ?? false, restarts: container?.restartCount ?? 0, waiting: container?.state?.waiting?.reason ?? ''};
	});
}

/** Ends CoreDNS, and starts it anew with a configuration: a change of it alone would leave the pod of before until the new one is ready. */
async function startAgain(context: StepContext, corefile: string): Promise<void> {
	const {cluster, eventually} = context;
	await cluster.kubectl`-n kube-system scale deployment/coredns --replicas=0`;
	await eventually('no pod of CoreDNS is left', async () => {
		const {items} = await cluster.get<{items: unknown[]}>('pods', '-n', 'kube-system', '-l', 'k8s-app=kube-dns');
		claim(items.length === 0, `${items.length} are there`);
	}, {deadline: '60s'});
	await writeCorefile(context, corefile);
	await cluster.kubectl`-n kube-system scale deployment/coredns --replicas=1`;
}

/** Claims that CoreDNS gets ready without having ended. */
async function runsWithoutRestart(context: StepContext): Promise<void> {
	await context.eventually('CoreDNS is ready', async () => {
		const [found] = await readPods(context);
		claim(found?.ready === true, `its pod is not ready, and was restarted ${found?.restarts ?? 0} times`);
		claim(found.restarts === 0, `its pod was restarted ${found.restarts} times`);
	}, {deadline: '60s'});
}
