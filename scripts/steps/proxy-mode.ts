/** What kube-proxy's modes have in common, and what differs between them: where a Service is to be seen on a node. */
import {claim, type Family, type MachineHandle, type StepContext} from 'vmlab';
import {addressIn} from './address.ts';
import {runningMode, type ProxyMode} from './kube-proxy.ts';
import type {Service} from './services.ts';

/** Each mode has a place of its own for Services: what it prints for a family, and what it is called. */
const places: Readonly<Record<ProxyMode, {readonly what: string; read(node: MachineHandle, family: Family): Promise<string>}>> = {
	nftables: {
		what: 'the nftables table kube-proxy',
		read: async (node, family) => (await node.try$`nft list table ${family === 'ipv4' ? 'ip' : 'ip6'} kube-proxy`).stdout,
	},
	ipvs: {
		what: 'the virtual servers of IPVS',
		read: async (node) => (await node.try$`ipvsadm --list --numeric`).stdout,
	},
	iptables: {
		what: 'the iptables chain KUBE-SERVICES',
		read: async (node, family) => (await node.try$`${family === 'ipv4' ? 'iptables-save' : 'ip6tables-save'} -t nat | grep -e '-A KUBE-SERVICES'; true`).stdout,
	},
};

/** The lab's mode. */
function proxyModeOf({lab}: StepContext): ProxyMode {
	return lab.options['kubernetes']?.['proxyMode'] as ProxyMode;
}

/** Claims that each node's kube-proxy is in the lab's mode, and that a Service is where that mode has it and nowhere else. */
export async function serviceIsWhereItBelongs(context: StepContext, families: readonly Family[], service: Service): Promise<void> {
	const mode = proxyModeOf(context);
	for (const node of context.machines('node')) {
		const said = await runningMode(node);
		claim(said === mode, `kube-proxy on ${node.name} says that its mode is ${said}, not ${mode}`);
		for (const family of families) {
			const address = addressIn(family, service.cluster, service.name);
			for (const [name, {what, read}] of Object.entries(places)) {
				const has = (await read(node, family)).includes(address);
				claim(has === (name === mode), `in the mode ${mode} the address ${address} of the Service ${service.name} is ${has ? '' : 'not '}in ${what} of ${node.name}`);
			}
		}
	}
}

/** Claims that with IPVS, and with nothing else, a node has a Service's cluster address on a device of its own. */
export async function clusterAddressDiffers(context: StepContext, families: readonly Family[], service: Service): Promise<void> {
	const mode = proxyModeOf(context);
	for (const family of families) {
		const address = addressIn(family, service.cluster, service.name);
		for (const node of context.machines('node')) {
			const {stdout: devices} = await node.$`ip -oneline address show to ${address}`;
			claim(/ kube-ipvs0 /.test(devices) === (mode === 'ipvs'), `in the mode ${mode} ${node.name} has the cluster address ${address} on: ${devices || 'no device'}`);
		}
	}
}

/**
 * Claims that nobody listens on a NodePort: once kube-proxy opened a socket for each, in the mode iptables for IPv6 twice, so that NodePorts of IPv6-only
 * clusters did not work. Today it opens none, in any mode.
 */
export async function nobodyListensOnNodePort(context: StepContext, port: number): Promise<void> {
	for (const node of context.machines('node')) {
		const {stdout} = await node.$`ss -H -l -n -t`;
		const listening = stdout.split('\n').filter((line) => line.split(/\s+/)[3]?.endsWith(`:${port}`));
		claim(listening.length === 0, `somebody listens on the NodePort ${port} on ${node.name}`, listening);
		// The same look finds what does listen: that of the kubelet.
		claim(/:10250\s/.test(stdout), `${node.name} shows no listening kubelet, so this look proves nothing`, stdout.split('\n'));
	}
}
