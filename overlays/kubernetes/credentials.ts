/** Who is who: certificates by the lab's own authorities, and the kubeconfigs that refer to them. */
import type {CertificateRequest, FileDeclaration, LabMachine, LabTopology} from 'vmlab';
import {addressesOf, apiServerUrl, serviceAddresses} from './cluster.ts';

/** Where a machine has its certificates and keys: where kubeadm puts them too. */
export const pki = '/etc/kubernetes/pki';
/** The authority that clients and servers of the API are checked with. */
export const authorityFile = `${pki}/ca.crt`;

/** The names of a client: CN is the user, O its groups (Kubernetes documentation, x509 client certificates). */
function client(commonName: string, ...organizations: string[]): CertificateRequest {
	return {authority: 'kubernetes', commonName, ...(organizations.length > 0 && {organizations}), usages: ['client']};
}

/** The user with all rights: root on the first node, and whoever comes through the forwarded port. */
export const administrator = client('kubernetes-admin', 'system:masters');
/** As whom the API server talks to kubelets: for logs, exec and port-forward. */
export const kubeletClient = client('kube-apiserver-kubelet-client');
/** As whom the controllers ask the API server. */
export const controllerManager = client('system:kube-controller-manager');
/** As whom the scheduler does. */
export const scheduler = client('system:kube-scheduler');
/** As whom each node's kube-proxy does. */
export const proxy = client('system:kube-proxy');
/** As whom the API server talks to aggregated API servers, for its own clients. */
export const frontProxy: CertificateRequest = {authority: 'kubernetes-front-proxy', commonName: 'front-proxy-client', usages: ['client']};

/** A node's own identity, which the Node authorizer knows. */
export function kubelet(machine: LabMachine): CertificateRequest {
	return client(`system:node:${machine.name}`, 'system:nodes');
}

/** What a node's kubelet shows to the API server. */
export function kubeletServer(lab: LabTopology, machine: LabMachine): CertificateRequest {
	return {
		authority: 'kubernetes',
		commonName: `system:node:${machine.name}`,
		organizations: ['system:nodes'],
		names: [machine.name],
		addresses: addressesOf(lab, machine),
		usages: ['server'],
	};
}

/** What the API server shows: by all names and addresses that it is reached by, the host's 127.0.0.1 among them. */
export function apiServer(lab: LabTopology, machine: LabMachine, clusterDomain: string): CertificateRequest {
	return {
		authority: 'kubernetes',
		commonName: 'kube-apiserver',
		names: [
			machine.name, 'localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc', `kubernetes.default.svc.${clusterDomain}`,
		],
		addresses: [...addressesOf(lab, machine), ...serviceAddresses(lab, 1), '127.0.0.1', '::1'],
		usages: ['server'],
	};
}

/** What a daemon shows that only its own machine may reach. Given to it, because making one itself takes it seconds. */
export function localServer(machine: LabMachine, commonName: string): CertificateRequest {
	return {authority: 'kubernetes', commonName, names: [machine.name, 'localhost'], addresses: ['127.0.0.1', '::1'], usages: ['server']};
}

/** The API server as a client of etcd. */
export const etcdClient: CertificateRequest = {authority: 'etcd', commonName: 'kube-apiserver', usages: ['client']};

/** A certificate and its key as files. */
export function keyedFiles(name: string, certificate: CertificateRequest): FileDeclaration[] {
	return [{path: `${pki}/${name}.crt`, certificate}, {path: `${pki}/${name}.key`, certificateKey: certificate}];
}

/** A kubeconfig, and the certificate and key that it refers to: `/etc/kubernetes/NAME.conf`, `pki/NAME.crt`, `pki/NAME.key`. */
export function kubeconfigFiles(lab: LabTopology, name: string, certificate: CertificateRequest, path = `/etc/kubernetes/${name}.conf`): FileDeclaration[] {
	return [
		...keyedFiles(name, certificate),
		{
			path,
			mode: 0o600,
			text: JSON.stringify({
				apiVersion: 'v1',
				kind: 'Config',
				clusters: [{name: 'vmlab', cluster: {server: apiServerUrl(lab), 'certificate-authority': authorityFile}}],
				users: [{name, user: {'client-certificate': `${pki}/${name}.crt`, 'client-key': `${pki}/${name}.key`}}],
				contexts: [{name: 'vmlab', context: {cluster: 'vmlab', user: name}}],
				'current-context': 'vmlab',
			}, undefined, 2) + '\n',
		},
	];
}
