import {defineOverlay, urlHost, type CertificateRequest, type LabMachine, type LabTopology} from 'vmlab';

/** The machine that has the store: the first node. */
function holder(lab: LabTopology): LabMachine | undefined {
	return lab.machines.find(machine => machine.role === 'node' && machine.index === 1);
}

/** What etcd shows to its clients, and to itself as a peer. */
function serverCertificate(machine: LabMachine): CertificateRequest {
	return {
		authority: 'etcd',
		commonName: machine.name,
		names: [machine.name, 'localhost'],
		addresses: [...Object.values(machine.address), '127.0.0.1', '::1'],
		usages: ['server', 'client'],
	};
}

/** What etcdctl shows. */
const operator: CertificateRequest = {authority: 'etcd', commonName: 'etcd-operator', usages: ['client']};

/** The address that the store is reached by: the node's own, in the preferred family. */
function endpoint(lab: LabTopology, machine: LabMachine): string {
	return urlHost(machine.address[lab.families[0]!]!);
}

function daemonArguments(lab: LabTopology, machine: LabMachine, options: {logLevel: string; fsync: boolean}): string[] {
	const address = endpoint(lab, machine);
	return [
		`--name=${machine.name}`,
		'--data-dir=/var/lib/etcd/data',
		`--listen-client-urls=https://${address}:2379`,
		`--advertise-client-urls=https://${address}:2379`,
		`--listen-peer-urls=https://${address}:2380`,
		`--initial-advertise-peer-urls=https://${address}:2380`,
		`--initial-cluster=${machine.name}=https://${address}:2380`,
		'--initial-cluster-state=new',
		'--client-cert-auth',
		'--trusted-ca-file=/etc/etcd/pki/ca.crt',
		'--cert-file=/etc/etcd/pki/server.crt',
		'--key-file=/etc/etcd/pki/server.key',
		'--peer-client-cert-auth',
		'--peer-trusted-ca-file=/etc/etcd/pki/ca.crt',
		'--peer-cert-file=/etc/etcd/pki/server.crt',
		'--peer-key-file=/etc/etcd/pki/server.key',
		// A store of one member elects itself within one timeout, so a short one is a fast start; there is nobody to wait for.
		'--heartbeat-interval=50',
		'--election-timeout=500',
		`--log-level=${options.logLevel}`,
		...(options.fsync ? [] : ['--unsafe-no-fsync']),
	];
}

export default defineOverlay({
	summary: 'etcd with TLS on the first node: where a Kubernetes API server keeps its objects',
	provides: ['kv'],
	needs: ['base'],
	roles: ['node'],
	options: {
		version: {default: '3.6.16', kind: 'version', summary: 'The version of etcd'},
		dir: {default: '', kind: 'folder', summary: 'A folder with your own build of etcd and etcdctl'},
		logLevel: {default: 'warn', values: ['debug', 'info', 'warn', 'error'], summary: 'How much etcd logs'},
		fsync: {default: false, summary: 'Write through to the disk at each commit; a lab that is thrown away does not need it'},
	},
	components: options => [{
		name: 'etcd',
		version: options.version,
		programs: [{name: 'etcd', path: '/usr/bin/etcd'}, {name: 'etcdctl', path: '/usr/bin/etcdctl'}],
		dir: options.dir,
		release: {
			url: 'https://github.com/etcd-io/etcd/releases/download/vVERSION/etcd-vVERSION-linux-amd64.tar.gz',
			checksumUrl: 'https://github.com/etcd-io/etcd/releases/download/vVERSION/SHA256SUMS',
			paths: {etcd: 'etcd-vVERSION-linux-amd64/etcd', etcdctl: 'etcd-vVERSION-linux-amd64/etcdctl'},
		},
		go: {
			module: 'go.etcd.io/etcd/server/v3',
			packages: {etcd: 'go.etcd.io/etcd/server/v3', etcdctl: 'go.etcd.io/etcd/etcdctl/v3'},
			goVersion: '1.26',
		},
	}],
	state: ['/var/lib/etcd'],
	files({lab, machine, options}) {
		if (machine !== holder(lab)) {
			return [];
		}

		const certificate = serverCertificate(machine);
		return [
			{path: '/etc/etcd/pki/ca.crt', authority: 'etcd'},
			{path: '/etc/etcd/pki/server.crt', certificate},
			{path: '/etc/etcd/pki/server.key', certificateKey: certificate},
			{path: '/etc/etcd/pki/operator.crt', certificate: operator},
			{path: '/etc/etcd/pki/operator.key', certificateKey: operator},
			{path: '/etc/etcd/etcd.env', text: `ARGUMENTS="${daemonArguments(lab, machine, options).join(' ')}"\n`},
			{
				path: '/etc/etcd/etcdctl.env', text: [
					`ETCDCTL_ENDPOINTS=https://${endpoint(lab, machine)}:2379`,
					'ETCDCTL_CACERT=/etc/etcd/pki/ca.crt',
					'ETCDCTL_CERT=/etc/etcd/pki/operator.crt',
					'ETCDCTL_KEY=/etc/etcd/pki/operator.key',
					'',
				].join('\n'),
			},
		];
	},
	units: ({lab, machine}) => machine === holder(lab) ? ['etcd.service'] : [],
	ready: ({lab, machine}) => machine === holder(lab) ? [{sentence: `etcd on ${machine.name} serves`, deadline: '30s', unit: 'etcd.service'}] : [],
	evidence: ({lab, machine}) => machine === holder(lab) ? [{
		name: 'etcd.txt',
		command: 'set -a; . /etc/etcd/etcdctl.env; etcdctl endpoint status --write-out=table; journalctl --no-pager -u etcd.service',
	}] : [],
});
