import {defineOverlay} from 'vmlab';

const port = {minimum: 1, maximum: 65_535, whole: true} as const;

/** Is a role among those that have the server? */
function serves(role: string, roles: string): boolean {
	return roles.split(/ +/).includes(role);
}

export default defineOverlay({
	summary: 'The test server of Kubernetes\' own tests (agnhost) on machines outside of a cluster, over HTTP and UDP',
	needs: ['base'],
	options: {
		version: {default: '1.36.3', kind: 'version', summary: 'The version of Kubernetes that it is built from'},
		dir: {default: '', kind: 'folder', summary: 'A folder with your own build of agnhost'},
		roles: {
			default: 'router server', summary: 'The roles of the machines that have it, separated by spaces',
			pattern: {matches: '[a-z][a-z\\d-]*( +[a-z][a-z\\d-]*)*', wanted: 'roles of the lab separated by spaces, such as router server'},
		},
		httpPort: {default: 8080, ...port, summary: 'Where it answers over HTTP'},
		udpPort: {default: 8081, ...port, summary: 'Where it answers over UDP'},
	},
	components: options => [{
		// Not the one of `kubernetes`, which follows the version of the cluster and is in a container image alone.
		name: 'agnhost-server',
		version: options.version,
		programs: [{name: 'agnhost', path: '/usr/bin/agnhost'}],
		dir: options.dir,
		go: {
			module: 'k8s.io/kubernetes',
			packages: {agnhost: 'k8s.io/kubernetes/test/images/agnhost'},
			ldflags: '-X k8s.io/component-base/version.gitVersion=vVERSION -X k8s.io/client-go/pkg/version.gitVersion=vVERSION',
			staging: true,
			goVersion: '1.26',
		},
	}],
	files: ({machine, options}) => serves(machine.role, options.roles)
		? [{path: '/etc/vmlab/agnhost.env', text: `HTTP_PORT=${options.httpPort}\nUDP_PORT=${options.udpPort}\n`}]
		: [],
	units: ({machine, options}) => serves(machine.role, options.roles) ? ['vmlab-agnhost.service'] : [],
	ready: ({machine, options}) => serves(machine.role, options.roles)
		? [{sentence: `agnhost answers on ${machine.name}`, deadline: '30s', port: options.httpPort}]
		: [],
	evidence: ({machine, options}) => serves(machine.role, options.roles) ? [{name: 'agnhost.txt', command: 'journalctl --no-pager -u vmlab-agnhost.service'}] : [],
});
