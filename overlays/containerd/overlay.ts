import {defineOverlay, type LabTopology} from 'vmlab';

/** The reference of the pause image that this lab's nodes have; Kubernetes' own default where no overlay brings one. */
function pauseImage(lab: LabTopology): string {
	return lab.images.find(reference => /\/pause:/.test(reference)) ?? 'registry.k8s.io/pause:3.10.2';
}

/** /etc/containerd/config.toml, version 3 (containerd's docs/cri/config.md). */
function configuration(lab: LabTopology, logLevel: string): string {
	return `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = -900

# What a node has no use for costs start-up time.
disabled_plugins = [
	"io.containerd.differ.v1.erofs",
	"io.containerd.image-verifier.v1.bindir",
	"io.containerd.internal.v1.opt",
	"io.containerd.internal.v1.tracing",
	"io.containerd.nri.v1.nri",
	"io.containerd.snapshotter.v1.blockfile",
	"io.containerd.snapshotter.v1.btrfs",
	"io.containerd.snapshotter.v1.devmapper",
	"io.containerd.snapshotter.v1.erofs",
	"io.containerd.snapshotter.v1.native",
	"io.containerd.snapshotter.v1.zfs",
	"io.containerd.tracing.processor.v1.otlp",
]

[debug]
level = "${logLevel}"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "${pauseImage(lab)}"

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["/usr/lib/cni"]
conf_dir = "/etc/cni/net.d"
use_internal_loopback = true

[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
`;
}

export default defineOverlay({
	summary: 'containerd as the container runtime of the nodes, with runc and ctr',
	provides: ['cri'],
	needs: ['base'],
	roles: ['node'],
	options: {
		version: {default: '2.4.2', kind: 'version', summary: 'The version of containerd'},
		dir: {default: '', kind: 'folder', summary: 'A folder with your own build of containerd, containerd-shim-runc-v2 and ctr'},
		logLevel: {default: 'warn', values: ['debug', 'info', 'warn', 'error'], summary: 'How much containerd logs'},
		socket: {default: '/run/containerd/containerd.sock', values: ['/run/containerd/containerd.sock'], summary: 'Where it serves the CRI'},
	},
	components: options => [{
		name: 'containerd',
		version: options.version,
		programs: ['containerd', 'containerd-shim-runc-v2', 'ctr'].map(name => ({name, path: `/usr/bin/${name}`})),
		dir: options.dir,
		release: {
			url: 'https://github.com/containerd/containerd/releases/download/vVERSION/containerd-static-VERSION-linux-amd64.tar.gz',
			checksumUrl: 'https://github.com/containerd/containerd/releases/download/vVERSION/containerd-static-VERSION-linux-amd64.tar.gz.sha256sum',
			paths: {
				containerd: 'bin/containerd',
				'containerd-shim-runc-v2': 'bin/containerd-shim-runc-v2',
				ctr: 'bin/ctr',
			},
		},
		go: {
			module: 'github.com/containerd/containerd/v2',
			packages: {
				containerd: 'github.com/containerd/containerd/v2/cmd/containerd',
				'containerd-shim-runc-v2': 'github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2',
				ctr: 'github.com/containerd/containerd/v2/cmd/ctr',
			},
			ldflags: '-X github.com/containerd/containerd/v2/version.Version=vVERSION',
			tags: ['no_btrfs', 'no_devmapper', 'no_zfs'],
			goVersion: '1.26',
		},
	}],
	packages: ['jq', 'runc'],
	kernel: () => ({modules: ['overlay']}),
	state: ['/var/lib/containerd'],
	files: ({lab, options}) => [
		{path: '/etc/containerd/config.toml', text: configuration(lab, options.logLevel)},
	],
	units: () => ['containerd.service'],
	ready: ({machine}) => [{sentence: `containerd on ${machine.name} serves`, deadline: '30s', unit: 'containerd.service'}],
	evidence: () => [
		{name: 'containers.txt', command: 'crictl pods; crictl ps -a; crictl images'},
		{name: 'containerd.txt', command: 'journalctl --no-pager -u containerd.service'},
	],
});
