/** The control plane's files: its daemons' arguments, and what is applied to the cluster once it answers. */
import {urlHost, type FileDeclaration, type LabMachine, type LabTopology} from 'vmlab';
import {
	anyAddress, apiServerPort, cidrList, hasControlPlane, loopbackAddress, nodesOf, primaryAddress,
} from './cluster.ts';
import {
	administrator, apiServer, authorityFile, controllerManager, etcdClient, frontProxy, keyedFiles, kubeconfigFiles, kubeletClient, localServer, pki,
	scheduler,
} from './credentials.ts';

/** The options that the control plane's arguments follow from. */
export interface ControlPlaneOptions {
	readonly clusterDomain: string;
	readonly logLevel: number;
}

function apiServerArguments(lab: LabTopology, machine: LabMachine, options: ControlPlaneOptions): string[] {
	const address = primaryAddress(lab, machine);
	return [
		`--advertise-address=${address}`,
		`--bind-address=${anyAddress(lab)}`,
		`--secure-port=${apiServerPort}`,
		`--tls-cert-file=${pki}/apiserver.crt`,
		`--tls-private-key-file=${pki}/apiserver.key`,
		`--client-ca-file=${authorityFile}`,
		`--etcd-servers=https://${urlHost(address)}:2379`,
		`--etcd-cafile=${pki}/etcd-ca.crt`,
		`--etcd-certfile=${pki}/apiserver-etcd-client.crt`,
		`--etcd-keyfile=${pki}/apiserver-etcd-client.key`,
		`--service-cluster-ip-range=${cidrList(lab, 'services')}`,
		`--service-account-issuer=https://kubernetes.default.svc.${options.clusterDomain}`,
		`--service-account-key-file=${pki}/service-account.pub`,
		`--service-account-signing-key-file=${pki}/service-account.key`,
		'--authorization-mode=Node,RBAC',
		'--enable-admission-plugins=NodeRestriction',
		'--allow-privileged=true',
		`--kubelet-certificate-authority=${authorityFile}`,
		`--kubelet-client-certificate=${pki}/apiserver-kubelet-client.crt`,
		`--kubelet-client-key=${pki}/apiserver-kubelet-client.key`,
		'--kubelet-preferred-address-types=InternalIP,Hostname',
		`--requestheader-client-ca-file=${pki}/front-proxy-ca.crt`,
		`--requestheader-allowed-names=${frontProxy.commonName}`,
		'--requestheader-username-headers=X-Remote-User',
		'--requestheader-group-headers=X-Remote-Group',
		'--requestheader-extra-headers-prefix=X-Remote-Extra-',
		`--proxy-client-cert-file=${pki}/front-proxy-client.crt`,
		`--proxy-client-key-file=${pki}/front-proxy-client.key`,
		'--profiling=false',
		`--v=${options.logLevel}`,
	];
}

function controllerManagerArguments(lab: LabTopology, options: ControlPlaneOptions): string[] {
	return [
		'--kubeconfig=/etc/kubernetes/controller-manager.conf',
		`--bind-address=${loopbackAddress(lab)}`,
		`--tls-cert-file=${pki}/controller-manager-server.crt`,
		`--tls-private-key-file=${pki}/controller-manager-server.key`,
		'--use-service-account-credentials=true',
		`--service-account-private-key-file=${pki}/service-account.key`,
		`--root-ca-file=${authorityFile}`,
		`--cluster-signing-cert-file=${authorityFile}`,
		`--cluster-signing-key-file=${pki}/ca.key`,
		// A /24 or /64 for each node. Those of the lab's own machines are decided by the lab and come with the nodes' objects, which are there before it starts.
		'--allocate-node-cidrs=true',
		`--cluster-cidr=${cidrList(lab, 'pods')}`,
		`--service-cluster-ip-range=${cidrList(lab, 'services')}`,
		// There is one of it, so there is nobody to elect.
		'--leader-elect=false',
		'--profiling=false',
		`--v=${options.logLevel}`,
	];
}

function schedulerArguments(lab: LabTopology, options: ControlPlaneOptions): string[] {
	return [
		'--kubeconfig=/etc/kubernetes/scheduler.conf',
		`--bind-address=${loopbackAddress(lab)}`,
		`--tls-cert-file=${pki}/scheduler-server.crt`,
		`--tls-private-key-file=${pki}/scheduler-server.key`,
		'--leader-elect=false',
		'--profiling=false',
		`--v=${options.logLevel}`,
	];
}

/**
 * The nodes, each with its pod subnets, as objects that vmlab-nodes.service applies: made before the kubelets register, or merged with what these made,
 * so that `spec.podCIDRs` is the lab's whichever comes first.
 */
function nodeObjects(lab: LabTopology): FileDeclaration[] {
	return nodesOf(lab).map(node => {
		const podCIDRs = lab.families.flatMap(family => node.pods[family] ?? []);
		return {
			path: `/etc/kubernetes/nodes/${node.name}.json`,
			text: `${JSON.stringify({
				apiVersion: 'v1',
				kind: 'Node',
				metadata: {name: node.name, ...(hasControlPlane(node) && {labels: {'node-role.kubernetes.io/control-plane': ''}})},
				spec: {podCIDR: podCIDRs[0], podCIDRs},
			}, undefined, 2)}\n`,
		};
	});
}

/** The right to use the kubelets' API, for the API server: a role that every cluster has, given to the user that its certificate names. */
const kubeletAccessManifest = {
	apiVersion: 'rbac.authorization.k8s.io/v1',
	kind: 'ClusterRoleBinding',
	metadata: {name: 'vmlab:kubelet-api-admin'},
	roleRef: {apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:kubelet-api-admin'},
	subjects: [{apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: kubeletClient.commonName}],
};

/** Arguments as a unit's EnvironmentFile has them. */
export function argumentsFile(program: string, words: readonly string[]): FileDeclaration {
	return {path: `/etc/kubernetes/${program}.env`, text: `ARGUMENTS="${words.join(' ')}"\n`};
}

/** A manifest that is applied once the API server answers; JSON is YAML (YAML 1.2, 1.2). */
export function manifestFile(name: string, manifest: object): FileDeclaration {
	return {path: `/etc/vmlab/manifests/${name}.yaml`, text: `${JSON.stringify(manifest, undefined, 2)}\n`};
}

/** The files of the machine that has the control plane. */
export function controlPlaneFiles(lab: LabTopology, machine: LabMachine, options: ControlPlaneOptions): FileDeclaration[] {
	return [
		{path: `${pki}/ca.key`, authorityKey: 'kubernetes'},
		{path: `${pki}/etcd-ca.crt`, authority: 'etcd'},
		{path: `${pki}/front-proxy-ca.crt`, authority: frontProxy.authority},
		{path: `${pki}/service-account.key`, keyPair: 'kubernetes-service-account', part: 'private'},
		{path: `${pki}/service-account.pub`, keyPair: 'kubernetes-service-account', part: 'public'},
		...keyedFiles('apiserver', apiServer(lab, machine, options.clusterDomain)),
		...keyedFiles('apiserver-etcd-client', etcdClient),
		...keyedFiles('apiserver-kubelet-client', kubeletClient),
		...keyedFiles('front-proxy-client', frontProxy),
		...keyedFiles('controller-manager-server', localServer(machine, 'kube-controller-manager')),
		...keyedFiles('scheduler-server', localServer(machine, 'kube-scheduler')),
		...kubeconfigFiles(lab, 'controller-manager', controllerManager),
		...kubeconfigFiles(lab, 'scheduler', scheduler),
		...kubeconfigFiles(lab, 'admin', administrator, '/root/.kube/config'),
		argumentsFile('kube-apiserver', apiServerArguments(lab, machine, options)),
		argumentsFile('kube-controller-manager', controllerManagerArguments(lab, options)),
		argumentsFile('kube-scheduler', schedulerArguments(lab, options)),
		...nodeObjects(lab),
		manifestFile('kubernetes-kubelet-access', kubeletAccessManifest),
	];
}
