/**
 * A node is given an address of its own pod subnet, for instance on its VPN's interface, and the pod network gives that address away.
 *
 * The plugin `bridge` takes the subnet's first address for the bridge, and its IPAM gives the following ones to pods, one after the other, without a look at what
 * the node has. When it is the turn of the node's address, a pod runs with it that nobody reaches: each packet for it ends in the node. And
 * what the node sends to its pods has the bridge's address as its source, never the one that its operator chose. Cure: node addresses outside of the pod
 * subnets; where that cannot be, a `rangeStart` in the IPAM's configuration above them.
 */
import {addressAt, claim, defineScenario, type MachineHandle} from 'vmlab';
import {clusterLab} from './labs/kubernetes.ts';
import {addressIn} from './steps/address.ts';
import {podAnswers, urlOf} from './steps/services.ts';
import {placePods, podOn, readPods, serverPort, type Pod} from './steps/test-server.ts';

const configuration = '/etc/cni/net.d/10-vmlab.conflist';
/** Where host-local keeps the address that it gave last, in its first range. */
const lastReserved = '/var/lib/cni/networks/vmlab/last_reserved_ip.0';
/** A place in the pod subnet that no pod of the scenario comes to by counting. */
const distant = 100;

/** The first address of the subnet after a given one. */
function following(subnet: string, address: string): string {
	const places = Array.from({length: distant}, (_, place) => addressAt(subnet, place));
	const place = places.indexOf(address);
	claim(place !== -1 && place + 1 < distant, `${address} is not among the first ${distant} addresses of ${subnet}`);
	return addressAt(subnet, place + 1);
}

/** Has the IPAM of a node give the node's pods addresses from a place of their subnet on, and gives the first of them. */
async function startAt(node: MachineHandle, place: number): Promise<string> {
	const changed = JSON.parse(await node.readFile(configuration)) as {plugins: Array<{ipam?: {ranges: Array<Array<{subnet: string; rangeStart?: string}>>}}>};
	const range = changed.plugins[0]?.ipam?.ranges[0]?.[0];
	claim(range !== undefined, `${configuration} on ${node.name} has no range`);
	range.rangeStart = addressAt(range.subnet, place);
	await node.writeFile(configuration, `${JSON.stringify(changed, undefined, 2)}\n`);
	return range.rangeStart;
}

/** What a node would send to a pod with: the address that the kernel chooses as the source. */
async function sourceTo(node: MachineHandle, pod: Pod): Promise<string> {
	const {stdout} = await node.$`curl -sS --max-time 10 ${urlOf(addressIn('ipv4', pod.addresses, pod.name), serverPort, 'clientip')}`;
	return stdout.replace(/:\d+$/, '');
}

/** Claims that nothing listens for this machine at the pod's address: what has it answers that the port is closed (curl(1), exit code 7). */
async function isRefused(machine: MachineHandle, pod: Pod): Promise<void> {
	const url = urlOf(addressIn('ipv4', pod.addresses, pod.name), serverPort);
	const {exitCode, stdout, stderr} = await machine.try$`curl -sS --max-time 10 ${url}`;
	claim(exitCode === 7, `curl to ${url} on ${machine.name} ended with exit code ${exitCode}, not 7`, [stdout, stderr]);
}

export default defineScenario({
	summary: 'Bug: the node has an address of its own pod subnet, which the pod network gives to a pod',
	lab: clusterLab(['ipv4']),
	budget: '3m',
	async steps(context) {
		const {lab, cluster, node, router, tester, step, eventually, note} = context;
		const owner = node('node-2');
		const subnet = owner.machine.pods.ipv4;
		claim(subnet !== undefined, 'node-2 has no pod subnet');
		/** All that may want to reach a pod. */
		const everybody = [node('node-1'), owner, router('router-1'), tester('tester-1')];

		const [before] = await step('control: a pod on node-2 answers everybody', async () => {
			const placed = await placePods(context, {before: owner.name});
			for (const machine of everybody) {
				await podAnswers(machine, urlOf(addressIn('ipv4', placed[0]?.addresses ?? {}, 'before'), serverPort), placed);
			}

			return placed;
		});
		claim(before !== undefined, 'there is no pod');

		const own = await step('the mistake: the VPN of node-2 has an address of the node\'s pod subnet', async () => {
			const last = (await owner.readFile(lastReserved)).trim();
			const address = following(subnet, last);
			await owner.$`ip link add vpn0 type dummy; ip link set dev vpn0 up; ip address add ${address}/32 dev vpn0`;
			return address;
		});
		note(`The last address that node-2 gave to a pod is the one before ${own}, which its VPN has`);

		const taken = await step('symptom: the next pod gets the address that the node itself has', async () => {
			await cluster.apply(podOn(lab, owner.name, 'taken'));
			const pod = await eventually('the pod runs', async () => {
				const [found] = (await readPods(cluster, 'taken')).get('taken') ?? [];
				claim(found?.phase === 'Running' && found.addresses.ipv4 !== undefined, `the pod is ${found?.phase ?? 'not there'}`);
				return found;
			}, {deadline: '60s'});
			claim(pod.addresses.ipv4 === own, `the pod has ${pod.addresses.ipv4}, which is not the node's ${own}`);
			return pod;
		});

		await step('symptom: nobody reaches that pod, and it does not get ready', async () => {
			for (const machine of everybody) {
				await isRefused(machine, taken);
			}

			const [found] = (await readPods(cluster, 'taken')).get('taken') ?? [];
			claim(found?.ready === false, 'the pod is ready');
		});

		await step('symptom: to its pods the node is the bridge\'s first address, not that of its VPN', async () => {
			const source = await sourceTo(owner, before);
			claim(source === addressAt(subnet, 1), `pods see node-2 as ${source}`);
		});

		await step('cure: with the VPN\'s address outside of the pod subnet the same pod answers everybody', async () => {
			await owner.$`ip address del ${own}/32 dev vpn0; ip address add 10.99.0.2/32 dev vpn0`;
			for (const machine of everybody) {
				await eventually(`the pod answers ${machine.name}`, async () => podAnswers(machine, urlOf(own, serverPort), [taken]));
			}

			await placePods(context, {taken: owner.name});
		});

		await step('the other cure: with a rangeStart above it, the IPAM passes the address of the VPN by', async () => {
			const next = following(subnet, own);
			await owner.$`ip address add ${next}/32 dev vpn0`;
			const start = await startAt(owner, distant);
			const [after] = await placePods(context, {after: owner.name});
			claim(after?.addresses.ipv4 === start, `the pod has ${after?.addresses.ipv4}, not ${start}`);
			for (const machine of everybody) {
				await podAnswers(machine, urlOf(start, serverPort), [after]);
			}
		});
	},
	mutation: {
		summary: 'the IPAM of node-2 gives addresses from a later place on',
		red: 'symptom: the next pod gets the address that the node itself has',
		because: /which is not the node's/,
		before: 'symptom: the next pod gets the address that the node itself has',
		async apply({node}) {
			await startAt(node('node-2'), distant);
		},
	},
});
