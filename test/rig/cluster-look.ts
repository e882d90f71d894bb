/** What may not change in a cluster that goes on after a freeze. */
import type {ForkedLab} from '../../lab/index.ts';

/** What may not change in a cluster, and what tells of a change in between. */
export interface ClusterLook {
	/** The guest's time, in seconds since 1970. */
	readonly time: number;
	/** Node -> status of its condition Ready. */
	readonly nodes: Readonly<Record<string, string>>;
	/** Container -> its id and how often it was restarted. */
	readonly containers: Readonly<Record<string, string>>;
	/** Lease -> its holder, and how often that changed. */
	readonly leases: Readonly<Record<string, string>>;
	/** The leader's id, and its term. */
	readonly etcd: string;
	/** Machine -> the processes of its daemons. */
	readonly processes: Readonly<Record<string, string>>;
	/** Milliseconds since 1970 of each event with the reason NodeNotReady. */
	readonly lost: readonly number[];
}

const daemons = ['containerd', 'etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'];

/** Looks at a cluster of two nodes. */
export async function lookAtCluster(lab: ForkedLab): Promise<ClusterLook> {
	const {items} = await lab.cluster.get<{items: any[]}>('nodes,pods,leases.coordination.k8s.io,events', '--all-namespaces');
	const kinds = (kind: string): any[] => items.filter((item) => item.kind === kind);
	const named = (item: any): string => `${item.metadata.namespace ?? ''}/${item.metadata.name}`;
	const [first, second] = ['node-1', 'node-2'].map((name) => lab.machine(name)) as [ReturnType<ForkedLab['machine']>, ReturnType<ForkedLab['machine']>];
	const status = await first.$`set -a; . /etc/etcd/etcdctl.env; etcdctl endpoint status --write-out=json`;
	const etcd = (JSON.parse(status.stdout) as Array<{Status: {leader: number; raftTerm: number}}>)[0]?.Status;
	const show = async (machine: typeof first): Promise<string> => (await machine.$`systemctl show --property=Id,MainPID,NRestarts ${daemons}`).stdout;
	return {
		time: Number((await first.$`date +%s`).stdout),
		nodes: Object.fromEntries(kinds('Node').map((node) => [named(node), node.status.conditions.find(({type}: {type: string}) => type === 'Ready').status])),
		containers: Object.fromEntries(kinds('Pod').flatMap((pod) => pod.status.containerStatuses.map((container: any) => [`${named(pod)} ${container.name}`, `${container.containerID} ${container.restartCount}`]))),
		leases: Object.fromEntries(kinds('Lease').map((lease) => [named(lease), `${lease.spec.holderIdentity} ${lease.spec.leaseTransitions ?? 0}`])),
		etcd: `${etcd!.leader} ${etcd!.raftTerm}`,
		processes: {'node-1': await show(first), 'node-2': await show(second)},
		lost: kinds('Event').filter(({reason}) => reason === 'NodeNotReady').map(({lastTimestamp, eventTime}) => Date.parse(lastTimestamp ?? eventTime)),
	};
}
