/**
 * A node connects to a Service, and the connection leaves with the wrong source address, or does not leave at all.
 *
 * The kernel routes a connection, and so chooses its source, before kube-proxy's rules translate its destination. In the modes nftables and iptables they change
 * nothing but the destination where kube-proxy was not told the pods' addresses (`clusterCIDR`). A node whose default route leads into a VPN then asks
 * pods as its address there, which is where the answers go; one without a default route gets ENETUNREACH. In mode ipvs the Services' addresses are the
 * node's own, and neither happens. Cure: a route for the Services' range with the right source. `clusterCIDR`, by which
 * what comes from others than pods is masqueraded, cures the wrong source too, but not a missing route.
 */
import {claim, defineScenario, type MachineHandle} from 'vmlab';
import {clusterLab} from './labs/kubernetes.ts';
import {addressIn, addressOf} from './steps/address.ts';
import {tryConnection} from './steps/connection.ts';
import {changeProxy} from './steps/kube-proxy.ts';
import {podAnswers, readServices, service, servicePort, urlOf} from './steps/services.ts';
import {placePods} from './steps/test-server.ts';

/** The address that the node has in its VPN. Nobody else in the lab has a route to it. */
const vpn = '172.31.9.2';

/** Connections to an address as the machine's connection tracking has them: the source that they were sent with, and where the answers are to go. */
async function tracked(machine: MachineHandle, destination: string): Promise<string[]> {
	const {stdout} = await machine.$`conntrack -L -p tcp --orig-dst ${destination} 2>/dev/null`;
	return [...stdout.matchAll(/src=(\S+) dst=\S+ .*?src=\S+ dst=(\S+)/g)].map(([, sent = '', answered = '']) => `sent by ${sent}, answered to ${answered}`);
}

export default defineScenario({
	summary: 'Bug: a node\'s connections to Services have the wrong source, or no route, since they are routed before they are translated',
	lab: clusterLab(['ipv4']),
	budget: '4m',
	async steps(context) {
		const {lab, cluster, node, step, eventually} = context;
		const client = node('node-2');
		const host = node('node-1');
		const own = addressOf(client.machine, 'ipv4');
		const device = client.machine.links[0]?.device ?? '';
		const {services: {ipv4: range}, pods: {ipv4: clusterCIDR}} = lab;
		claim(range !== undefined && clusterCIDR !== undefined, 'the lab has no IPv4');

		const {pod, address} = await step('control: node-2 reaches a Service whose pod is on node-1', async () => {
			const [placed] = await placePods(context, {far: host.name});
			claim(placed !== undefined, 'there is no pod');
			await cluster.apply(service(lab, 'far', placed.name));
			const [found] = await readServices(cluster, 'far');
			const clusterAddress = addressIn('ipv4', found?.cluster ?? {}, 'the Service far');
			await eventually('the Service answers', async () => podAnswers(client, urlOf(clusterAddress, servicePort), [placed]));
			return {pod: placed, address: clusterAddress};
		});
		const answers = async (): Promise<void> => podAnswers(client, urlOf(address, servicePort), [pod]);
		const fails = async (wanted: string): Promise<void> => {
			// What was there before is not what is seen.
			await Promise.all([client, host].map(async (machine) => machine.$`conntrack -F 2>/dev/null`));
			const problem = await tryConnection(client, address, servicePort);
			claim(problem === wanted, `node-2 ${problem === undefined ? 'reaches the Service' : `gets "${problem}" from the Service`}, not "${wanted}"`);
		};

		const throughVpn = async (): Promise<void> => {
			await client.$`ip -4 route replace default dev vpn0`;
		};

		const withoutRoute = async (): Promise<void> => {
			await client.$`ip -4 route del default`;
		};

		const addServiceRoute = async (): Promise<void> => {
			await client.$`ip -4 route add ${range} dev ${device} src ${own}`;
		};

		const deleteServiceRoute = async (): Promise<void> => {
			await client.$`ip -4 route del ${range}`;
		};

		await step('control: it does so where kube-proxy does not know the pods\' addresses, too', async () => {
			await changeProxy(context, [client], {mode: 'nftables', clusterCIDR: ''});
			await answers();
		});

		await step('the mistake: the default route of node-2 leads into a VPN', async () => {
			await client.$`ip link add vpn0 type dummy; ip address add ${vpn}/24 dev vpn0; ip link set dev vpn0 up`;
			await throughVpn();
		});

		await step('symptom: it does not reach the Service any more, and reaches the pod', async () => {
			await fails('no answer');
			const problem = await tryConnection(client, addressIn('ipv4', pod.addresses, pod.name), 8080);
			claim(problem === undefined, `node-2 does not reach the pod: ${problem}`);
		});

		await step('symptom: the connection has got to the pod\'s node, with the address of the VPN as its source', async () => {
			const wanted = `sent by ${vpn}, answered to ${vpn}`;
			const sent = await tracked(client, address);
			claim(sent.length > 0 && sent.every((line) => line === wanted), `on node-2 the connections to the Service are ${sent.join('; ') || 'not there'}`);
			const received = await tracked(host, addressIn('ipv4', pod.addresses, pod.name));
			claim(received.includes(wanted), `on node-1 the connections to the pod are ${received.join('; ') || 'not there'}`);
		});

		await step('cure: with a route for the Services\' range, with the node\'s address as its source, the Service answers', async () => {
			await addServiceRoute();
			await answers();
			const sent = await tracked(client, address);
			claim(sent.includes(`sent by ${own}, answered to ${own}`), `the connections are ${sent.join('; ')}`);
			await deleteServiceRoute();
		});

		await step('symptom: without a default route the connection does not leave, with ENETUNREACH', async () => {
			await withoutRoute();
			await fails('Network is unreachable');
		});

		await step('cure: with the route for the Services\' range the Service answers', async () => {
			await addServiceRoute();
			await answers();
			await deleteServiceRoute();
		});

		await step('kube-proxy that knows the pods\' addresses masquerades: the Service answers through the VPN\'s route, and not without any', async () => {
			await changeProxy(context, [client], {clusterCIDR});
			await fails('Network is unreachable');
			await throughVpn();
			await answers();
			const sent = await tracked(client, address);
			claim(sent.includes(`sent by ${vpn}, answered to ${own}`), `the connections are ${sent.join('; ')}`);
		});

		await step('in mode iptables it is the same as with nftables', async () => {
			await changeProxy(context, [client], {mode: 'iptables', clusterCIDR: ''});
			await fails('no answer');
			await withoutRoute();
			await fails('Network is unreachable');
			await addServiceRoute();
			await answers();
			await deleteServiceRoute();
		});

		await step('in mode ipvs the Service answers without a default route, and with one that leads into the VPN', async () => {
			await changeProxy(context, [client], {mode: 'ipvs'});
			await answers();
			await throughVpn();
			await answers();
		});
	},
	mutation: {
		summary: 'node-2 has a route for the Services\' range beside the VPN\'s',
		red: 'symptom: it does not reach the Service any more, and reaches the pod',
		because: /node-2 reaches the Service, not "no answer"/,
		before: 'symptom: it does not reach the Service any more, and reaches the pod',
		async apply({lab, node}) {
			const {machine, $} = node('node-2');
			await $`ip -4 route add ${lab.services.ipv4 ?? ''} dev ${machine.links[0]?.device ?? ''} src ${addressOf(machine, 'ipv4')}`;
		},
	},
});
