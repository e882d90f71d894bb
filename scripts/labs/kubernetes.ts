/** Labs with a Kubernetes cluster, which several scenarios share. */
import {defineLab, type Family, type LabDeclaration} from 'vmlab';

/** What every lab with a cluster has. The container runtime comes with `kubernetes`, by its option `runtime`. */
const overlays = ['base', 'iptools', 'etcd', 'kubernetes', 'coredns', 'cni-bridge', 'images', 'externalip'];

/** A cluster of two nodes behind a router, and a tester on the other side of it; with these overlays besides. */
export function clusterLab(families: readonly Family[], more: readonly string[] = []): LabDeclaration {
	return defineLab({
		families,
		machines: {
			node: {count: 2, cpus: 2, memory: '2.5GiB', disk: '8GiB'},
			router: {count: 1, memory: '256MiB'},
			tester: {count: 1, memory: '256MiB'},
		},
		overlays: [...overlays, ...more],
	});
}

/** One node, and nothing else: the smallest cluster. */
export function singleNodeLab(families: readonly Family[]): LabDeclaration {
	return defineLab({
		families,
		machines: {node: {count: 1, cpus: 2, memory: '3GiB', disk: '8GiB'}},
		overlays,
	});
}
