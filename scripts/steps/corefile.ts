/** CoreDNS with another configuration, in a cluster that runs. */
import {claim, type StepContext} from 'vmlab';

/** CoreDNS's configuration as the cluster has it. */
export async function readCorefile({cluster}: StepContext): Promise<string> {
	const {data} = await cluster.get<{data: {Corefile: string}}>('configmap', 'coredns', '-n', 'kube-system');
	return data.Corefile;
}

/** Gives CoreDNS a configuration, without waiting for anything. */
export async function writeCorefile({cluster}: StepContext, text: string): Promise<void> {
	await cluster.apply({apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'coredns', namespace: 'kube-system'}, data: {Corefile: text}});
}

/** Changes CoreDNS's configuration, and waits until pods with the new one have taken the others' place. */
export async function changeCorefile(context: StepContext, change: (text: string) => string): Promise<void> {
	const before = await readCorefile(context);
	const after = change(before);
	claim(after !== before, 'the change leaves CoreDNS\'s configuration as it is', before.split('\n'));
	await writeCorefile(context, after);
	// By itself it would read it some minute later, when the kubelet has brought it.
	await context.cluster.kubectl`-n kube-system rollout restart deployment/coredns`;
	await context.eventually('pods of CoreDNS with its new configuration serve', async () => {
		await context.cluster.kubectl`-n kube-system rollout status deployment/coredns --timeout=20s`;
	}, {deadline: '60s'});
}

/** Runs `use` while CoreDNS has another configuration, and gives it its own back whatever happens. */
export async function withCorefile<Value>(context: StepContext, change: (text: string) => string, use: () => Promise<Value>): Promise<Value> {
	const before = await readCorefile(context);
	await changeCorefile(context, change);
	try {
		return await use();
	} finally {
		await changeCorefile(context, () => before);
	}
}
