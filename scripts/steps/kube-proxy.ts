/** kube-proxy on nodes of a running cluster, with another configuration than the lab gave it. */
import {claim, type MachineHandle, type StepContext} from 'vmlab';

/** How kube-proxy makes Services work. */
export type ProxyMode = 'nftables' | 'iptables' | 'ipvs';

/** All modes, the overlay's default first. */
export const proxyModes: readonly ProxyMode[] = ['nftables', 'iptables', 'ipvs'];

/** What is changed; the rest of the configuration stays as it is. */
export interface ProxyChange {
	readonly mode?: ProxyMode;
	/** The pods' addresses, '' for none told. */
	readonly clusterCIDR?: string;
}

const configuration = '/etc/kubernetes/kube-proxy.yaml';

/** What the modes need of the kernel that they do not load by themselves. */
const modules = ['nf_tables', 'ip_vs', 'ip_vs_rr', 'ip_vs_wrr', 'ip_vs_sh', 'dummy', 'ip_set', 'xt_set'];

/** The mode that a node's kube-proxy says it is in. */
export async function runningMode(node: MachineHandle): Promise<string> {
	const {stdout} = await node.$`. /etc/kubernetes/cluster.env; curl -sS --max-time 10 "\${PROXY_METRICS%metrics}proxyMode"`;
	return stdout;
}

/** Restarts kube-proxy on these nodes with a change, and waits until it has written its rules anew. What its old mode wrote is taken away first. */
export async function changeProxy({eventually}: StepContext, nodes: readonly MachineHandle[], change: ProxyChange): Promise<void> {
	await Promise.all(nodes.map(async (node) => {
		await node.$`modprobe --all ${modules}; systemctl stop kube-proxy.service; kube-proxy --cleanup --config=${configuration}`;
		// It is JSON, which is YAML too.
		const changed = {...JSON.parse(await node.readFile(configuration)) as {mode: string}, ...change};
		await node.writeFile(configuration, `${JSON.stringify(changed, undefined, 2)}\n`);
		await node.$`sed -i ${`s/^PROXY_MODE=.*/PROXY_MODE=${changed.mode}/`} /etc/kubernetes/cluster.env; systemctl start kube-proxy.service`;
		await eventually(`kube-proxy on ${node.name} has written its rules in mode ${changed.mode}`, async () => {
			await node.$`/usr/lib/vmlab/proxy-is-ready`;
			const mode = await runningMode(node);
			claim(mode === changed.mode, `kube-proxy on ${node.name} says that its mode is ${mode}`);
		}, {deadline: '60s'});
	}));
}
