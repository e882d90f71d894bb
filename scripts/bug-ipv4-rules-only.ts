/**
 * In a cluster with IPv6 the packet filter is looked at, and changed, with iptables alone.
 *
 * iptables and ip6tables are two filters, each with its own chains and policies. Who opens FORWARD with iptables has opened it for
 * IPv4, and IPv6 stays closed. Who looks for kube-proxy's rules with iptables-save finds none of an IPv6 Service's, however often
 * kube-proxy writes them. Cure: the same with ip6tables and ip6tables-save.
 */
import {claim, defineScenario, type Family, type MachineHandle} from 'vmlab';
import {clusterLab} from './labs/kubernetes.ts';
import {addressIn} from './steps/address.ts';
import {changeProxy} from './steps/kube-proxy.ts';
import {acrossNodes, podsDoNotReachEachOther, podsReachEachOther} from './steps/pod-network.ts';
import {podAnswers, readServices, service, servicePort, urlOf} from './steps/services.ts';
import {placePods} from './steps/test-server.ts';

/** The program that sets a family's packet filter. */
const programs: Readonly<Record<Family, string>> = {ipv4: 'iptables', ipv6: 'ip6tables'};
const families: readonly Family[] = ['ipv4', 'ipv6'];

/** Sets the policy of FORWARD on nodes by one program. */
async function setPolicy(nodes: readonly MachineHandle[], family: Family, policy: 'ACCEPT' | 'DROP'): Promise<void> {
	await Promise.all(nodes.map(async (node) => node.$`${programs[family]} -P FORWARD ${policy}`));
}

/** A Service of one family, whatever the cluster has. */
function singleStack(manifest: object, family: Family): object {
	const {spec, ...rest} = manifest as {spec: object};
	return {...rest, spec: {...spec, ipFamilyPolicy: 'SingleStack', ipFamilies: [family === 'ipv4' ? 'IPv4' : 'IPv6']}};
}

/** The rules of a Service that a family's program lists on a node. kube-proxy writes the Service's name into their comments. */
async function rulesOf(node: MachineHandle, family: Family, name: string): Promise<string[]> {
	const {stdout} = await node.$`${`${programs[family]}-save`}`;
	return stdout.split('\n').filter((line) => line.includes(`default/${name}`));
}

export default defineScenario({
	summary: 'Bug: rules are set and listed with iptables alone: IPv4 is well, IPv6 is not',
	lab: clusterLab(['ipv4', 'ipv6']),
	budget: '5m',
	async steps(context) {
		const {lab, cluster, machines, node, step, eventually} = context;
		const nodes = machines('node');

		const pods = await step('a pod on each node, and both reach each other in both families', async () => {
			const placed = await placePods(context, {left: 'node-1', right: 'node-2'});
			await podsReachEachOther(context, families, placed);
			return placed;
		});

		await step('control: a firewall that drops what nodes forward, in both families, parts the pods in both', async () => {
			for (const family of families) {
				await setPolicy(nodes, family, 'DROP');
				await podsDoNotReachEachOther(context, family, pods, acrossNodes);
			}
		});

		await step('the mistake: it is opened with iptables alone; IPv4 is well', async () => {
			await setPolicy(nodes, 'ipv4', 'ACCEPT');
			await podsReachEachOther(context, ['ipv4'], pods);
		});

		await step('symptom: IPv6 is still closed', async () => podsDoNotReachEachOther(context, 'ipv6', pods, acrossNodes));

		await step('cure: opened with ip6tables too, pods reach each other in both families', async () => {
			await setPolicy(nodes, 'ipv6', 'ACCEPT');
			await podsReachEachOther(context, families, pods);
		});

		const [first] = pods;
		claim(first !== undefined, 'there is no pod');
		await step('kube-proxy in mode iptables serves a Service of each family', async () => {
			await cluster.apply([singleStack(service(lab, 'four', first.name), 'ipv4'), singleStack(service(lab, 'six', first.name), 'ipv6')]);
			await changeProxy(context, [node('node-2')], {mode: 'iptables'});
			const [four, six] = await readServices(cluster, 'four', 'six');
			for (const [family, found] of [['ipv4', four], ['ipv6', six]] as const) {
				claim(found !== undefined, `there is no Service of ${family}`);
				await eventually(`the Service ${found.name} answers on node-2`, async () => podAnswers(node('node-2'), urlOf(addressIn(family, found.cluster, found.name), servicePort), [first]), {deadline: '30s'});
			}
		});

		await step('symptom: iptables-save lists the IPv4 Service, and nothing of the IPv6 one, though it works', async () => {
			const [four, six] = [await rulesOf(node('node-2'), 'ipv4', 'four'), await rulesOf(node('node-2'), 'ipv4', 'six')];
			claim(four.length > 0, 'iptables-save lists no rule of the Service four');
			claim(six.length === 0, `iptables-save lists ${six.length} rules of the Service six`, six);
		});

		await step('cure: ip6tables-save lists the IPv6 Service, and nothing of the IPv4 one', async () => {
			const [four, six] = [await rulesOf(node('node-2'), 'ipv6', 'four'), await rulesOf(node('node-2'), 'ipv6', 'six')];
			claim(six.length > 0, 'ip6tables-save lists no rule of the Service six');
			claim(four.length === 0, `ip6tables-save lists ${four.length} rules of the Service four`, four);
		});
	},
	mutation: {
		summary: 'what is forwarded is accepted in IPv6 too',
		red: 'symptom: IPv6 is still closed',
		because: /pairs of pods talk \(ipv6\)/,
		before: 'symptom: IPv6 is still closed',
		async apply({machines}) {
			await setPolicy(machines('node'), 'ipv6', 'ACCEPT');
		},
	},
});
