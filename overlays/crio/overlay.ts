import {defineOverlay, type LabTopology} from 'vmlab';

/** The reference of the pause image that this lab's nodes have; Kubernetes' own default where no overlay brings one. */
function pauseImage(lab: LabTopology): string {
	return lab.images.find(reference => /\/pause:/.test(reference)) ?? 'registry.k8s.io/pause:3.10.2';
}

/** /etc/crio/crio.conf (crio.conf(5)). */
function configuration(lab: LabTopology, logLevel: string): string {
	return `[crio]
root = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
storage_driver = "overlay"
version_file = "/run/crio/version"
# A machine that lost its power comes back with what it has; it does not spend its start on a check.
version_file_persist = ""
clean_shutdown_file = ""
internal_repair = false

[crio.api]
listen = "/run/crio/crio.sock"
stream_address = "127.0.0.1"

[crio.runtime]
default_runtime = "runc"
cgroup_manager = "cgroupfs"
conmon_cgroup = "pod"
pinns_path = "/usr/bin/pinns"
# The image has no AppArmor profiles.
apparmor_profile = "unconfined"
enable_criu_support = false
log_level = "${logLevel}"

[crio.runtime.runtimes.runc]
runtime_type = "oci"
runtime_root = "/run/runc"
monitor_path = "/usr/bin/conmon"
monitor_cgroup = "pod"

[crio.image]
pause_image = "${pauseImage(lab)}"
pinned_images = ["${pauseImage(lab)}"]
signature_policy = "/etc/containers/policy.json"

[crio.network]
network_dir = "/etc/cni/net.d"
plugin_dirs = ["/usr/lib/cni"]

[crio.nri]
enable_nri = false
`;
}

export default defineOverlay({
	summary: 'CRI-O as the container runtime of the nodes, with runc and conmon',
	provides: ['cri'],
	needs: ['base'],
	roles: ['node'],
	options: {
		version: {default: '1.34.0', kind: 'version', summary: 'The version of CRI-O'},
		dir: {default: '', kind: 'folder', summary: 'A folder with your own build of crio and pinns'},
		logLevel: {default: 'warn', values: ['trace', 'debug', 'info', 'warn', 'error'], summary: 'How much CRI-O logs'},
		socket: {default: '/run/crio/crio.sock', values: ['/run/crio/crio.sock'], summary: 'Where it serves the CRI'},
	},
	components: options => [{
		name: 'crio',
		version: options.version,
		programs: [{name: 'crio', path: '/usr/bin/crio'}, {name: 'pinns', path: '/usr/bin/pinns'}],
		dir: options.dir,
		release: {
			url: 'https://storage.googleapis.com/cri-o/artifacts/cri-o.amd64.vVERSION.tar.gz',
			checksumUrl: 'https://storage.googleapis.com/cri-o/artifacts/cri-o.amd64.vVERSION.tar.gz.sha256sum',
			paths: {crio: 'cri-o/bin/crio', pinns: 'cri-o/bin/pinns'},
		},
		go: {
			module: 'github.com/cri-o/cri-o',
			packages: {crio: 'github.com/cri-o/cri-o/cmd/crio'},
			// Static, because the C library of the host that builds it may be newer than the image's.
			ldflags: '-linkmode external -extldflags -static',
			tags: ['containers_image_openpgp', 'exclude_graphdriver_btrfs', 'seccomp', 'netgo', 'osusergo'],
			cgo: true,
			headers: ['libseccomp-dev', 'pkg-config'],
			ownSums: true,
			goVersion: '1.24',
		},
		cSources: {folders: {pinns: 'pinns/src'}},
	}],
	packages: ['conmon', 'jq', 'runc', 'skopeo'],
	kernel: () => ({modules: ['overlay']}),
	state: ['/var/lib/containers'],
	files: ({lab, options}) => [
		{path: '/etc/crio/crio.conf', text: configuration(lab, options.logLevel)},
	],
	units: () => ['crio.service'],
	ready: ({machine}) => [{sentence: `CRI-O on ${machine.name} serves`, deadline: '30s', unit: 'crio.service'}],
	evidence: () => [
		{name: 'containers.txt', command: 'crictl pods; crictl ps -a; crictl images'},
		{name: 'crio.txt', command: 'journalctl --no-pager -u crio.service'},
	],
});
